//! JSON as `JSON.stringify(JSON.parse(text))` writes it (ECMA-262, 25.5): what a receiver that
//! verifies a signature over a parsed and re-written body will get.

use super::{JsonRefusal, Kind, MAX_DEPTH, Object, Value, push_quoted};

/// Why a document has no such form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// It cannot be read.
    Refused(JsonRefusal),
    /// The number at this path is beyond the range of a double.
    OutOfRange(String),
}

/// The largest array index; names that are one come first, in the order of numbers.
const MAX_INDEX: u32 = u32::MAX - 1;

/// Writes `text` so that parsing and writing it once more changes nothing.
///
/// # Errors
/// [`Unwritable`] if it is no JSON, or holds a number that a double cannot.
pub fn normalize(text: &str) -> Result<String, Unwritable> {
    let value = Value::parse_within(text, 2 * MAX_DEPTH).map_err(Unwritable::Refused)?;
    let mut out = String::with_capacity(text.len());
    write(&value, &mut out).map_err(|mut path| {
        path.reverse();
        Unwritable::OutOfRange(path.join("."))
    })?;
    Ok(out)
}

/// Writes one value; an error is the path to what cannot be written, from the inside out.
fn write(value: &Value<'_>, out: &mut String) -> Result<(), Vec<String>> {
    match value.kind() {
        Kind::Number(_) => write_number(value.raw(), out)?,
        Kind::String(text) => push_quoted(text, out),
        Kind::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out).map_err(|path| inside(path, &at.to_string()))?;
            }
            out.push(']');
        }
        Kind::Object(object) => write_object(object, out)?,
        Kind::Null | Kind::Bool(_) => out.push_str(value.raw()),
    }
    Ok(())
}

fn inside(mut path: Vec<String>, name: &str) -> Vec<String> {
    path.push(name.to_owned());
    path
}

fn write_number(raw: &str, out: &mut String) -> Result<(), Vec<String>> {
    let double: f64 = raw.parse().map_err(|_| Vec::new())?;
    if !double.is_finite() {
        return Err(Vec::new());
    }
    out.push_str(ryu_js::Buffer::new().format_finite(double));
    Ok(())
}

/// Array indices first, then names where they first stood, each with the value it had last.
fn write_object(object: &Object<'_>, out: &mut String) -> Result<(), Vec<String>> {
    let mut order: Vec<(Option<u32>, usize, usize)> = object
        .places()
        .iter()
        .map(|place| (array_index(object.member(place.first).0), place.first, place.last))
        .collect();
    order.sort_unstable_by_key(|(index, first, _)| (index.is_none(), *index, *first));
    out.push('{');
    for (at, (_, _, last)) in order.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let (name, value) = object.member(last);
        push_quoted(name, out);
        out.push(':');
        write(value, out).map_err(|path| inside(path, name))?;
    }
    out.push('}');
    Ok(())
}

/// The number that a name is, if it is written as numbers are.
fn array_index(name: &str) -> Option<u32> {
    let is_canonical = name == "0" || (!name.starts_with(['0', '+']) && !name.is_empty());
    name.parse().ok().filter(|index| is_canonical && *index <= MAX_INDEX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.0", "1")]
    #[case("1.10", "1.1")]
    #[case("0.1", "0.1")]
    #[case("-0", "0")]
    #[case("-0.0e5", "0")]
    #[case("1e21", "1e+21")]
    #[case("1E20", "100000000000000000000")]
    #[case("0.000001", "0.000001")]
    #[case("1e-7", "1e-7")]
    #[case("12345678901234567890", "12345678901234567000")]
    #[case("9007199254740993", "9007199254740992")]
    #[case("1.7976931348623157e308", "1.7976931348623157e+308")]
    #[case("5e-324", "5e-324")]
    #[case("1e-400", "0")]
    #[case("0.1000000000000000055511151231257827", "0.1")]
    fn numbers(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normalize(text).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case(r#""a\/b\u0041""#, r#""a/bA""#)]
    #[case(r#""\u0000\u001F\b\t\n\f\r\"\\""#, r#""\u0000\u001f\b\t\n\f\r\"\\""#)]
    #[case("\"\u{7f}\u{2028}\u{2029}é😀\"", "\"\u{7f}\u{2028}\u{2029}é😀\"")]
    #[case(r#""\ud83d\ude00""#, "\"😀\"")]
    fn strings(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normalize(text).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case(r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#)]
    #[case(r#"{"event":1,"10":2,"9":3,"0":4}"#, r#"{"0":4,"9":3,"10":2,"event":1}"#)]
    #[case(
        r#"{"01":1,"4294967295":2,"4294967294":3,"-1":4,"+1":6,"":5}"#,
        r#"{"4294967294":3,"01":1,"4294967295":2,"-1":4,"+1":6,"":5}"#
    )]
    #[case(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#)]
    #[case(r#"{"\u0031":1,"1":2}"#, r#"{"1":2}"#)]
    #[case(r#"{"__proto__":{"x":1},"a":[ ]}"#, r#"{"__proto__":{"x":1},"a":[]}"#)]
    fn objects(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normalize(text).as_deref(), Ok(expected));
    }

    #[test]
    fn a_number_beyond_a_double_is_named() {
        let text = r#"{"a":[1,{"b":-1e400}]}"#;
        assert_eq!(normalize(text), Err(Unwritable::OutOfRange("a.1.b".to_owned())));
        assert_eq!(normalize("1e400"), Err(Unwritable::OutOfRange(String::new())));
    }

    proptest::proptest! {
        #[test]
        fn it_is_a_fixed_point(text in proptest::string::string_regex(
            "(\\{(\"[a-c0-9]{0,3}\":(-?[1-9][0-9]{0,22}(\\.[0-9]{1,9})?(e-?[0-9]{1,2})?|\"[^\"\\\\\\p{Cc}]{0,4}\"),){0,6}\"z\":\\[\\]\\})"
        ).expect("a pattern")) {
            let once = normalize(&text).expect("valid");
            proptest::prop_assert_eq!(normalize(&once).expect("valid"), once);
        }
    }
}
