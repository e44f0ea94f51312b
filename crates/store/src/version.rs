//! Versions of the program, as the database knows them.

use std::fmt;

/// A version without what may follow the patch: those of one patch serve alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(i64);

impl Version {
    /// That of this program.
    pub(crate) const OURS: Self = Self(
        number(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
            + number(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
            + number(env!("CARGO_PKG_VERSION_PATCH")),
    );

    /// As it is stored: 1,000,000 × major + 1,000 × minor + patch.
    pub(crate) const fn from_stored(stored: i64) -> Self {
        Self(stored)
    }

    /// Why this program may not serve a database that this is the least version for.
    pub(crate) fn refusal(self) -> Option<String> {
        (Self::OURS < self).then(|| {
            format!(
                "the database may be served by Postrider {self} or newer only; this is {}: install the newer version, or restore a \
                 backup from before it was used",
                Self::OURS
            )
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0 / 1_000_000, self.0 / 1_000 % 1_000, self.0 % 1_000)
    }
}

const fn number(text: &str) -> i64 {
    let (mut number, mut at) = (0, 0);
    while at < text.len() {
        number = number * 10 + (text.as_bytes()[at] - b'0') as i64;
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_programs_are_refused_and_others_not() {
        assert_eq!(Version::OURS.to_string(), env!("CARGO_PKG_VERSION"));
        assert_eq!(Version::OURS.refusal(), None);
        assert_eq!(Version::from_stored(Version::OURS.0 - 1).refusal(), None);
        let newer = Version::from_stored(3_004_005);
        assert!(newer.refusal().is_some_and(|why| why.contains("Postrider 3.4.5 or newer")));
    }
}
