//! Text that must not be shown.

use std::fmt;

/// A secret from the command line or the settings. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Hidden {
    /// Takes anything: what is wrong with a secret is said later, without the text. The parser of the command line
    /// would repeat what it refuses.
    #[expect(clippy::unnecessary_wraps, reason = "the signature is the parser's")]
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}
