//! Compacting: white space goes, every other byte stays.

use super::{JsonRefusal, MAX_DEPTH};

/// Removes white space between the tokens of valid JSON and keeps all else: numbers (`1.10`), key
/// order, escapes, duplicate keys. Linear in the length.
///
/// # Errors
/// [`JsonRefusal`] if it is too deep or holds what is not Unicode.
pub fn compact(valid: &str) -> Result<String, JsonRefusal> {
    let bytes = valid.as_bytes();
    let mut out = String::with_capacity(valid.len());
    let (mut depth, mut at) = (0_usize, 0);
    // What is not copied yet begins here.
    let mut kept = 0;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'"' => string_length(&bytes[at..])?,
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&valid[kept..at]);
                kept = at + 1;
                1
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
            _ => 1,
        };
    }
    out.push_str(&valid[kept..]);
    Ok(out)
}

/// The value of the last member with this name, as it is written, of an object without white space between its tokens.
#[must_use]
pub fn last_member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let bytes = object.as_bytes();
    let (mut found, mut at) = (None, 1);
    while bytes.get(at) == Some(&b'"') {
        let colon = at + string_length(&bytes[at..]).ok()?;
        let end = colon + 1 + value_length(bytes.get(colon + 1..)?)?;
        if is_name(&object[at..colon], name) {
            found = Some(&object[colon + 1..end]);
        }
        at = end + 1;
    }
    found
}

fn is_name(quoted: &str, name: &str) -> bool {
    if quoted.contains('\\') {
        return serde_json::from_str::<String>(quoted).is_ok_and(|unescaped| unescaped == name);
    }
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(name)
}

/// The length of the value of a member that `text` starts with: up to the comma or brace behind it.
fn value_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        at += match text.get(at)? {
            b'"' => string_length(&text[at..]).ok()?,
            b'}' | b']' | b',' if depth == 0 => return Some(at),
            b'}' | b']' => {
                depth -= 1;
                1
            }
            b'{' | b'[' => {
                depth += 1;
                1
            }
            _ => 1,
        };
    }
}

/// The length of the string literal that `text` starts with, quotes included.
fn string_length(text: &[u8]) -> Result<usize, JsonRefusal> {
    let mut at = 1;
    let mut high_surrogate = false;
    while let Some(plain) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += plain;
        let escape = unicode_escape(&text[at..]);
        let low_surrogate = escape.is_some_and(|unit| (0xdc00..=0xdfff).contains(&unit));
        if high_surrogate != low_surrogate || high_surrogate && plain > 0 {
            return Err(JsonRefusal::LoneSurrogate);
        }
        high_surrogate = escape.is_some_and(|unit| (0xd800..=0xdbff).contains(&unit));
        at += match (text[at], escape) {
            (b'"', _) => return Ok(at + 1),
            (_, Some(_)) => 6,
            (_, None) => 2,
        };
    }
    Ok(text.len())
}

/// The code unit of `\uXXXX`, if `text` starts with one.
fn unicode_escape(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
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

    #[rstest]
    #[case(r#"{"a":1,"id":"x","b":{"id":2},"c":[{"id":3},"}"]}"#, Some(r#""x""#))]
    #[case(r#"{"id":{"a":[1,"\\"]},"idx":2}"#, Some(r#"{"a":[1,"\\"]}"#))]
    #[case(r#"{"id":1,"i\u0064":-2.50}"#, Some("-2.50"))]
    #[case(r#"{"a":"id"}"#, None)]
    #[case("{}", None)]
    fn the_last_member_of_a_name_counts(#[case] object: &str, #[case] expected: Option<&str>) {
        assert_eq!(last_member(object, "id"), expected);
    }

    #[test]
    fn what_is_no_compact_object_has_no_members() {
        for text in ["", "{", "{ \"id\":1}", "[1]", "{\"id\"", "{\"id\":", "{\"id\":1", "\"id\""] {
            assert_eq!(last_member(text, "id"), None, "{text}");
        }
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
