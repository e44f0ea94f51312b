//! JSON as it was written: numbers and the order of names are somebody else's, and stay as they are.

mod compact;
pub mod ecmascript;
mod number;
mod pretty;
mod value;

pub use compact::{compact, last_member};
pub(crate) use number::Decimal;
pub use pretty::pretty;
pub use value::{Kind, Number, Object, Value, equal};

/// Deepest nesting of a payload.
pub const MAX_DEPTH: usize = 128;

/// Writes text as a JSON string.
pub(crate) fn push_quoted(text: &str, out: &mut String) {
    let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if is_plain {
        out.extend(["\"", text, "\""]);
    } else {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// Why JSON from outside is refused though it parses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonRefusal {
    /// No JSON at all: what a parser said, with the line and column.
    #[error("is not valid JSON: {0}")]
    Malformed(String),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("must not be nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Half of a surrogate pair: no Unicode text.
    #[error("must not contain a lone surrogate (\\ud800–\\udfff)")]
    LoneSurrogate,
}
