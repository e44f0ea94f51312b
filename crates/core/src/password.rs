//! Passwords, which are kept as Argon2id hashes (RFC 9106).

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use zeroize::Zeroizing;

use crate::World;

/// Shortest password, in characters (NIST SP 800-63B asks for at least 8, 15 where nothing else proves who it is).
pub const MIN_PASSWORD: usize = 12;
/// Longest password, in characters.
pub const MAX_PASSWORD: usize = 256;

/// Of an unknown name: to look at it takes as long as that of a known one.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password as somebody typed it.
pub struct Password(Zeroizing<String>);

impl Password {
    /// One that is to be somebody's from now on.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(text: &str) -> Result<Self, String> {
        match text.chars().count() {
            MIN_PASSWORD..=MAX_PASSWORD => Ok(Self::given(text)),
            ..MIN_PASSWORD => Err(format!("must have at least {MIN_PASSWORD} characters")),
            _ => Err(format!("must have at most {MAX_PASSWORD} characters")),
        }
    }

    /// One that may be somebody's.
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// What the store keeps. Takes some 20 ms of a processor and 19 MiB: not where deliveries run.
    #[must_use]
    pub fn hash(&self, world: &World) -> HashedPassword {
        let salt = world.random_bytes::<16>();
        // The defaults of the library are those that OWASP names; they cannot be wrong, nor can the salt.
        let hashed: Result<PasswordHash, _> = Argon2::default().hash_password_with_salt(self.0.as_bytes(), &salt);
        HashedPassword(hashed.map(|hash| hash.to_string()).unwrap_or_default())
    }

    /// Whether it is that one. Takes as long as [`Password::hash`], also if there is none to compare with.
    #[must_use]
    pub fn is(&self, hashed: Option<&HashedPassword>) -> bool {
        if self.0.chars().count() > MAX_PASSWORD {
            return false;
        }
        let text = hashed.map_or(NOBODYS, |hashed| &hashed.0);
        let parsed = PasswordHash::new(text);
        let verified = parsed.is_ok_and(|parsed| Argon2::default().verify_password(self.0.as_bytes(), &parsed).is_ok());
        verified && hashed.is_some()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A password as the store keeps it: a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedPassword(pub String);

impl fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::world::SystemRandom;
    use crate::{Clock, Timestamp};

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn sleep_until(&self, _: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::ready(()))
        }
    }

    #[test]
    fn a_password_is_itself_and_no_other() {
        let world = World::new(Arc::new(Stopped), Arc::new(SystemRandom));
        let password = Password::new("correct horse battery").expect("long enough");
        let hashed = password.hash(&world);
        assert!(hashed.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashed.0);
        assert!(password.is(Some(&hashed)) && !Password::given("correct horse").is(Some(&hashed)));
        assert_ne!(hashed, password.hash(&world), "each has a salt of its own");
        assert!(!password.is(None) && !format!("{password:?}{hashed:?}").contains("horse"));
    }

    #[test]
    fn to_be_nobodys_takes_as_long() {
        assert!(PasswordHash::new(NOBODYS).is_ok());
    }

    #[test]
    fn is_neither_short_nor_endless() {
        assert!(Password::new("elevenchars").is_err() && Password::new("twelve chars").is_ok());
        assert!(Password::new(&"x".repeat(256)).is_ok() && Password::new(&"x".repeat(257)).is_err());
    }
}
