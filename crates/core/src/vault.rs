//! Secrets at rest: AES-256-GCM under a master key, bound to the tenant and the row they belong to.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{TenantId, World};

const FORMAT: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// 32 bytes that encrypt every stored secret. Named by the first bytes of its hash.
#[derive(Clone)]
pub struct MasterKey {
    id: [u8; KEY_ID_LEN],
    key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// From base64 of exactly 32 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).ok()?);
        <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Self::new)
    }

    /// The key of `--dev`, which everybody knows: it hides nothing, and needs no set-up.
    #[must_use]
    pub fn development() -> Self {
        Self::new(Sha256::digest(b"postrider development master key").into())
    }

    fn new(key: [u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"postrider master key id").chain_update(key).finalize();
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&digest[..KEY_ID_LEN]);
        Self { id, key: Zeroizing::new(key) }
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*self.key).expect("32 bytes are a key of AES-256"))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// What a sealed value belongs to. Sealed for one place, it opens in no other.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The row that holds it.
    pub row: Uuid,
    /// The column that holds it.
    pub column: &'static str,
}

impl Place {
    fn aad(&self) -> Vec<u8> {
        [self.tenant_id.uuid().as_bytes(), self.row.as_bytes(), self.column.as_bytes()].concat()
    }
}

/// A sealed value cannot be opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// None of the configured master keys sealed it.
    #[error(
        "a stored secret was sealed with another master key; set POSTRIDER_MASTER_KEY or POSTRIDER_MASTER_KEY_PREVIOUS to that one"
    )]
    UnknownKey,
    /// It was changed, or moved from another row.
    #[error("a stored secret is damaged")]
    Damaged,
}

/// Seals with the current master key and opens with any of the configured ones.
#[derive(Clone, Debug)]
pub struct Vault {
    current: MasterKey,
    previous: Option<MasterKey>,
    world: World,
}

impl Vault {
    /// A vault that seals with `current`, and also opens what `previous` sealed.
    #[must_use]
    pub const fn new(current: MasterKey, previous: Option<MasterKey>, world: World) -> Self {
        Self { current, previous, world }
    }

    /// Seals `plain` for `place`: a format byte, the key's id, a random nonce, cipher text and tag.
    #[must_use]
    pub fn seal(&self, place: Place, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = self.world.random_bytes();
        let mut sealed = Vec::with_capacity(HEAD_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.current.id);
        sealed.extend_from_slice(&nonce);
        let mut text = Zeroizing::new(plain.to_vec());
        let tag = self
            .current
            .cipher()
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.aad()), &mut text)
            .expect("stored secrets are far below the limit of AES-GCM");
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Whether the current key sealed it, as far as one can see without opening it.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=KEY_ID_LEN) == Some(&self.current.id)
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// [`VaultError`] if another master key sealed it, or it was changed or moved.
    pub fn open(&self, place: Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (head, text) = sealed.split_at_checked(HEAD_LEN).ok_or(VaultError::Damaged)?;
        let (format, rest) = head.split_at(1);
        let (key_id, nonce) = rest.split_at(KEY_ID_LEN);
        if format != [FORMAT] {
            return Err(VaultError::Damaged);
        }
        let mut keys = std::iter::once(&self.current).chain(self.previous.as_ref());
        let key = keys.find(|key| key.id == key_id).ok_or(VaultError::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Damaged)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = key
            .cipher()
            .open_in_place(nonce, Aad::from(place.aad()), &mut text)
            .map_err(|_| VaultError::Damaged)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::world::SystemRandom;
    use crate::{Clock, Timestamp};

    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(0)
        }

        fn sleep_until(&self, _: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::ready(()))
        }
    }

    fn vault(current: MasterKey, previous: Option<MasterKey>) -> Vault {
        Vault::new(current, previous, World::new(Arc::new(Epoch), Arc::new(SystemRandom)))
    }

    fn key(fill: u8) -> MasterKey {
        MasterKey::parse(&BASE64_STANDARD.encode([fill; 32])).expect("32 bytes")
    }

    const HERE: Place = Place { tenant_id: TenantId::NIL, row: Uuid::nil(), column: "secrets" };

    #[test]
    fn opens_what_it_sealed_and_only_in_its_place() {
        let vault = vault(key(1), None);
        let sealed = vault.seal(HERE, b"secret");
        assert_eq!(vault.open(HERE, &sealed).as_deref().map(Vec::as_slice), Ok(b"secret".as_slice()));
        for elsewhere in [
            Place { tenant_id: TenantId::from(Uuid::max()), ..HERE },
            Place { row: Uuid::max(), ..HERE },
            Place { column: "headers", ..HERE },
        ] {
            assert_eq!(vault.open(elsewhere, &sealed), Err(VaultError::Damaged));
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let vault = vault(key(1), None);
        let sealed = vault.seal(HERE, b"secret");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open(HERE, &changed).is_err(), "byte {at}");
        }
        assert_eq!(vault.open(HERE, b"short"), Err(VaultError::Damaged));
    }

    #[test]
    fn the_previous_key_still_opens() {
        let sealed = vault(key(1), None).seal(HERE, b"secret");
        assert!(vault(key(2), Some(key(1))).open(HERE, &sealed).is_ok());
        assert_eq!(vault(key(2), None).open(HERE, &sealed), Err(VaultError::UnknownKey));
    }

    #[test]
    fn a_master_key_is_32_bytes() {
        assert!(MasterKey::parse(&BASE64_STANDARD.encode([1; 31])).is_none());
        assert!(MasterKey::parse("not base64").is_none());
    }
}
