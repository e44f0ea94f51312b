//! Where a list goes on: the last id that was shown, made opaque.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Most items of one page.
pub const MAX_LIMIT: u32 = 250;
/// Items of a page, unless said otherwise.
pub const DEFAULT_LIMIT: u32 = 50;

/// One page of a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only what is older than this id.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { before: None, limit: DEFAULT_LIMIT }
    }
}

impl Page {
    /// This page and the first item of the next: whether there is one is known without another look.
    #[must_use]
    pub const fn and_one(self) -> Self {
        Self { limit: self.limit + 1, ..self }
    }
}

/// The cursor of the page that follows `last`.
#[must_use]
pub fn encode(last: Uuid) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last.as_bytes())
}

/// Reads a cursor; `None` if it is none of ours.
#[must_use]
pub fn decode(cursor: &str) -> Option<Uuid> {
    Uuid::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let id = Uuid::from_u128(0x1234_5678);
        assert_eq!(decode(&encode(id)), Some(id));
        for wrong in ["", "x", "AAAA", "not base64!", &encode(id)[1..]] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
