//! JSON laid out for people, values as they were written.

use super::{Kind, Value};

/// Lays a document out over lines, two spaces a level.
#[must_use]
pub fn pretty(value: &Value<'_>) -> String {
    let mut out = String::new();
    write(value, 1, &mut out);
    out
}

fn write(value: &Value<'_>, depth: usize, out: &mut String) {
    match value.kind() {
        Kind::Array(items) if !items.is_empty() => {
            let items = items.iter().map(|item| (String::new(), item));
            write_block('[', ']', items, depth, out);
        }
        Kind::Object(object) if object.iter().next().is_some() => {
            let quoted = |name| serde_json::to_string(name).unwrap_or_default();
            let members = object.iter().map(|(name, value)| (format!("{}: ", quoted(name)), value));
            write_block('{', '}', members, depth, out);
        }
        Kind::Array(_) => out.push_str("[]"),
        Kind::Object(_) => out.push_str("{}"),
        _ => out.push_str(value.raw()),
    }
}

fn write_block<'v, 'a: 'v>(
    open: char,
    close: char,
    items: impl Iterator<Item = (String, &'v Value<'a>)>,
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    for (at, (name, item)) in items.enumerate() {
        out.push_str(if at > 0 { ",\n" } else { "\n" });
        out.push_str(&"  ".repeat(depth));
        out.push_str(&name);
        write(item, depth + 1, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth - 1));
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_written() {
        let text = r#"{"a":1.10,"b":[],"c":[{"d":"\u00e9"},-0],"e":{}}"#;
        let expected = "{\n  \"a\": 1.10,\n  \"b\": [],\n  \"c\": [\n    {\n      \"d\": \"\\u00e9\"\n    },\n    -0\n  ],\n  \"e\": {}\n}";
        assert_eq!(pretty(&Value::parse(text).expect("valid")), expected);
    }
}
