//! Compacting: white space goes, every other byte stays.

use super::{JsonRefusal, MAX_DEPTH};

/// Removes white space between the tokens of valid JSON and keeps all else: numbers (`1.10`), key
/// order, escapes, duplicate keys. Linear in the length.
///
/// # Errors
/// [`JsonRefusal`] if it is too deep or holds what is not Unicode.
pub fn compact(valid: &str) -> Result<String, JsonRefusal> {
    let mut out = String::with_capacity(valid.len());
    let mut depth = 0_usize;
    let mut rest = valid;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => string_length(rest)?,
            b' ' | b'\t' | b'\n' | b'\r' => {
                rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(JsonRefusal::TooDeep);
                }
                1
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                1
            }
            _ => rest.find(['"', ' ', '\t', '\n', '\r', '{', '[', '}', ']']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        out.push_str(token);
        rest = after;
    }
    Ok(out)
}

/// The length of the string literal that `text` starts with, quotes included.
fn string_length(text: &str) -> Result<usize, JsonRefusal> {
    let bytes = text.as_bytes();
    let mut at = 1;
    let mut high_surrogate = false;
    while let Some(&byte) = bytes.get(at) {
        let escape = (byte == b'\\').then(|| unicode_escape(&bytes[at..])).flatten();
        let low_surrogate = escape.is_some_and(|unit| (0xdc00..=0xdfff).contains(&unit));
        if low_surrogate != high_surrogate {
            return Err(JsonRefusal::LoneSurrogate);
        }
        high_surrogate = escape.is_some_and(|unit| (0xd800..=0xdbff).contains(&unit));
        at += match (byte, escape) {
            (b'"', _) => return Ok(at + 1),
            (b'\\', Some(_)) => 6,
            (b'\\', None) => 2,
            _ => 1,
        };
    }
    Ok(text.len())
}

/// The code unit of `\uXXXX`, if `bytes` starts with one.
fn unicode_escape(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("{ \"a\" : 1.10 ,\n\"b\":[ 12345678901234567890, -0 ] }", r#"{"a":1.10,"b":[12345678901234567890,-0]}"#)]
    #[case(r#"{"a b" : " \" x \\" }"#, r#"{"a b":" \" x \\"}"#)]
    #[case(r#"{"a":1, "a":2}"#, r#"{"a":1,"a":2}"#)]
    #[case("\t[true , null]\r\n", "[true,null]")]
    #[case(r#"["\ud83d\ude00", "\u0000", "é 😀"]"#, r#"["\ud83d\ude00","\u0000","é 😀"]"#)]
    fn only_white_space_goes(#[case] raw: &str, #[case] expected: &str) {
        assert_eq!(compact(raw).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case(r#""\ud83d""#)]
    #[case(r#""\ude00""#)]
    #[case(r#""\ud83dx""#)]
    #[case(r#""\ud83d\n""#)]
    #[case(r#""\ud83d\ud83d\ude00""#)]
    #[case(r#"{"\udfff":1}"#)]
    fn lone_surrogates_are_refused(#[case] raw: &str) {
        assert_eq!(compact(raw), Err(JsonRefusal::LoneSurrogate));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(compact(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(compact(&nested(MAX_DEPTH + 1)), Err(JsonRefusal::TooDeep));
        assert!(compact(&format!("[{}]", ["[]"; 500].join(","))).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn the_value_stays_the_same(words in proptest::collection::vec("\\PC*", 0..8)) {
            let pretty = serde_json::to_string_pretty(&words).expect("strings");
            let expected = serde_json::to_string(&words).expect("strings");
            proptest::prop_assert_eq!(compact(&pretty).expect("valid"), expected);
        }
    }
}
