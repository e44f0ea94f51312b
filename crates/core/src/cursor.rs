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

/// A page of a list, and behind what the next begins. It may be short, or empty, though there is more: what is searched for
/// was not found as far as was looked.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// The next page is of what is older than this id; `None` at the end.
    pub next: Option<Uuid>,
}

impl<T> Listed<T> {
    /// Of what was read by [`Page::and_one`], as far as `floor`: what is not newer was not looked at.
    #[must_use]
    pub fn of(mut items: Vec<T>, page: Page, floor: Option<Uuid>, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        if items.len() > limit {
            items.truncate(limit);
            let next = items.last().map(id);
            return Self { items, next };
        }
        let next = floor.map(|floor| Uuid::from_u128(floor.as_u128().saturating_add(1)));
        Self { items, next }
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
    fn a_page_leads_to_the_next() {
        let (page, floor) = (Page { before: None, limit: 2 }, Some(Uuid::from_u128(3)));
        let list = |numbers: &[u128], floor| {
            let listed = Listed::of(numbers.to_vec(), page, floor, |number| Uuid::from_u128(*number));
            (listed.items, listed.next.map(|next| next.as_u128()))
        };
        assert_eq!(list(&[9, 8, 7], floor), (vec![9, 8], Some(8)));
        assert_eq!(list(&[9], floor), (vec![9], Some(4)), "3 itself was not looked at");
        assert_eq!(list(&[9, 8], None), (vec![9, 8], None));
    }

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let id = Uuid::from_u128(0x1234_5678);
        assert_eq!(decode(&encode(id)), Some(id));
        for wrong in ["", "x", "AAAA", "not base64!", &encode(id)[1..]] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
