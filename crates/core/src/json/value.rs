//! A parsed JSON document that borrows from its text.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::value::RawValue;

use super::number::Decimal;
use super::{JsonRefusal, MAX_DEPTH};

/// Numbers longer than this are taken apart once, when they are read; shorter ones when they are compared.
const SHORT_NUMBER: usize = 64;

/// A JSON value, with the text it was written as.
#[derive(Clone, Debug)]
pub struct Value<'a> {
    raw: &'a str,
    kind: Kind<'a>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; [`Value::raw`] is how it was written.
    Number(Number<'a>),
    /// Text, its escapes resolved.
    String(Cow<'a, str>),
    /// A list.
    Array(Vec<Value<'a>>),
    /// Names and values.
    Object(Object<'a>),
}

/// A number, taken apart if it is long.
#[derive(Clone, Debug)]
pub struct Number<'a>(Option<Box<Decimal<'a>>>);

/// The members of an object in the order they were written, duplicates included, found by name in
/// logarithmic time.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
    /// A place for each name, sorted by name.
    places: Vec<Place>,
}

/// Where a name stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) first: usize,
    /// Of duplicates, the last counts.
    pub(super) last: usize,
}

impl<'a> Value<'a> {
    /// Reads a document. Takes n log n time.
    ///
    /// # Errors
    /// [`JsonRefusal`] if it is no JSON, too deep, or holds what is not Unicode.
    pub fn parse(text: &'a str) -> Result<Self, JsonRefusal> {
        Self::parse_within(text, MAX_DEPTH)
    }

    /// The same with another limit than [`MAX_DEPTH`]: a payload may stand inside a format's body.
    pub(super) fn parse_within(text: &'a str, levels: usize) -> Result<Self, JsonRefusal> {
        let valid: &RawValue = serde_json::from_str(text).map_err(|error| JsonRefusal::Malformed(error.to_string()))?;
        Reader { text: valid.get(), at: 0, room: levels }.value()
    }

    /// As it was written.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> &Kind<'a> {
        &self.kind
    }

    /// The member of that name, if it is an object that has one. Of duplicates, the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// What a path of names leads to.
    #[must_use]
    pub fn at<'v>(&'v self, path: &[String]) -> Option<&'v Self> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The object that it is.
    #[must_use]
    pub const fn as_object(&self) -> Option<&Object<'a>> {
        if let Kind::Object(object) = &self.kind { Some(object) } else { None }
    }

    /// The text that it is.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Kind::String(text) = &self.kind { Some(text) } else { None }
    }

    /// Two numbers or two texts in their order; nothing else has one.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (&self.kind, &other.kind) {
            (Kind::Number(one), Kind::Number(two)) => Some(one.decimal(self.raw).compare(&two.decimal(other.raw))),
            (Kind::String(one), Kind::String(two)) => Some(one.cmp(two)),
            _ => None,
        }
    }
}

impl<'a> Number<'a> {
    /// What `raw`, as this number was written, is worth.
    pub(crate) fn decimal(&self, raw: &'a str) -> Cow<'_, Decimal<'a>> {
        self.0.as_deref().map_or_else(|| Cow::Owned(Decimal::read(raw)), Cow::Borrowed)
    }
}

impl<'a> Object<'a> {
    fn new(members: Vec<(Cow<'a, str>, Value<'a>)>) -> Self {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|a, b| members[*a].0.cmp(&members[*b].0));
        let mut places: Vec<Place> = Vec::with_capacity(order.len());
        for at in order {
            match places.last_mut() {
                Some(place) if members[place.last].0 == members[at].0 => place.last = at,
                _ => places.push(Place { first: at, last: at }),
            }
        }
        Self { members, places }
    }

    /// The member of that name. Of duplicates, the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let found = self.places.binary_search_by(|place| (*self.members[place.first].0).cmp(name)).ok()?;
        Some(&self.members[self.places[found].last].1)
    }

    /// Names and values as they were written, duplicates included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.members.iter().map(|(name, value)| (&**name, value))
    }

    /// Each name once, in the order of names, with the value that counts.
    pub fn by_name(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.places.iter().map(|place| self.member(place.last))
    }

    /// How many names there are, each counted once.
    #[must_use]
    pub fn name_count(&self) -> usize {
        self.places.len()
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn member(&self, at: usize) -> (&str, &Value<'a>) {
        let (name, value) = &self.members[at];
        (name, value)
    }
}

/// Whether two values are the same: numbers by what they are worth, objects whatever their order.
#[must_use]
pub fn equal(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Bool(a), Kind::Bool(b)) => a == b,
        (Kind::Number(_), Kind::Number(_)) | (Kind::String(_), Kind::String(_)) => {
            one.compare(other) == Some(Ordering::Equal)
        }
        (Kind::Array(a), Kind::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Kind::Object(a), Kind::Object(b)) => {
            a.places.len() == b.places.len()
                && a.by_name().zip(b.by_name()).all(|((m, a), (n, b))| m == n && equal(a, b))
        }
        _ => false,
    }
}

/// Walks through valid JSON.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Levels that may still be entered.
    room: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value<'a>, JsonRefusal> {
        let start = self.at;
        let kind = match self.peek() {
            b'{' => Kind::Object(Object::new(self.members()?)),
            b'[' => Kind::Array(self.items()?),
            b'"' => Kind::String(self.string()?),
            b't' | b'f' => Kind::Bool(self.word() == "true"),
            b'n' => {
                self.word();
                Kind::Null
            }
            _ => {
                let word = self.word();
                let is_long = word.len() > SHORT_NUMBER;
                Kind::Number(Number(is_long.then(|| Box::new(Decimal::read(word)))))
            }
        };
        Ok(Value { raw: &self.text[start..self.at], kind })
    }

    fn members(&mut self) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, JsonRefusal> {
        self.enter()?;
        let mut members = Vec::new();
        while self.has_more(b'}') {
            let name = self.string()?;
            self.skip(b':');
            members.push((name, self.value()?));
        }
        Ok(members)
    }

    fn items(&mut self) -> Result<Vec<Value<'a>>, JsonRefusal> {
        self.enter()?;
        let mut items = Vec::new();
        while self.has_more(b']') {
            items.push(self.value()?);
        }
        Ok(items)
    }

    fn enter(&mut self) -> Result<(), JsonRefusal> {
        self.at += 1;
        self.room = self.room.checked_sub(1).ok_or(JsonRefusal::TooDeep)?;
        Ok(())
    }

    /// Whether another item follows; steps over the comma before it, or over the `end`.
    fn has_more(&mut self, end: u8) -> bool {
        self.skip(b',');
        if self.peek() != end && self.at < self.text.len() {
            return true;
        }
        self.at = (self.at + 1).min(self.text.len());
        self.room += 1;
        false
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonRefusal> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        let mut is_plain = true;
        while self.at < bytes.len() && bytes[self.at] != b'"' {
            let is_escape = bytes[self.at] == b'\\';
            is_plain &= !is_escape;
            self.at += if is_escape { 2 } else { 1 };
        }
        self.at = (self.at + 1).min(bytes.len());
        let literal = &self.text[start..self.at];
        if is_plain {
            return Ok(Cow::Borrowed(literal.trim_matches('"')));
        }
        serde_json::from_str(literal).map(Cow::Owned).map_err(|_| JsonRefusal::LoneSurrogate)
    }

    /// A number or a literal name.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find([',', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip(&mut self, separator: u8) {
        if self.peek() == separator {
            self.at += 1;
        }
        self.peek();
    }

    /// The next byte that is no white space; 0 at the end.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Value<'_> {
        Value::parse(text).expect("valid")
    }

    #[test]
    fn reads_what_was_written() {
        let text = r#" { "a" : 1.10 , "b\u0041" : [ true , null, "x\ny" , {} ] , "a" : "" } "#;
        let value = parse(text);
        assert_eq!(value.get("a").and_then(Value::as_str), Some(""), "the last counts");
        assert_eq!(value.get("bA").map(Value::raw), Some(r#"[ true , null, "x\ny" , {} ]"#));
        assert_eq!(value.get("c").map(Value::raw), None);
        let names: Vec<_> = value.as_object().expect("an object").iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "bA", "a"]);
        assert_eq!(parse("-0.0").raw(), "-0.0");
    }

    #[test]
    fn refuses_what_cannot_be_read() {
        for text in ["", "{", "[1,]", "{\"a\":01}", "\"\u{1}\"", "nul", "1 2", "{a:1}", "\u{feff}1"] {
            assert!(matches!(Value::parse(text), Err(JsonRefusal::Malformed(_))), "{text}");
        }
        assert_eq!(Value::parse(r#"["\ud800"]"#).err(), Some(JsonRefusal::LoneSurrogate));
        let deep = format!("{}1{}", "[".repeat(129), "]".repeat(129));
        assert_eq!(Value::parse(&deep).err(), Some(JsonRefusal::TooDeep));
        let long = format!("[{}1]", "[[]],".repeat(1000));
        assert!(Value::parse(&long).is_ok());
    }

    #[test]
    fn equality_is_of_what_is_meant() {
        for (one, other, same) in [
            ("1", "1.0", true),
            (r#"{"a":1,"b":[2]}"#, r#"{"b":[2e0],"a":1}"#, true),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, true),
            (r#""\u0041""#, r#""A""#, true),
            ("[1,2]", "[2,1]", false),
            ("null", "false", false),
            ("\"1\"", "1", false),
            ("{}", "[]", false),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#, false),
        ] {
            assert_eq!(equal(&parse(one), &parse(other)), same, "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\[\\]{}\",:0-9eE.\\-+ tfn\\\\u]{0,40}") {
            let _ = Value::parse(&text);
        }

        #[test]
        fn agrees_with_serde(words in proptest::collection::vec((any::<String>(), any::<i64>()), 0..8)) {
            let map: serde_json::Map<String, serde_json::Value> =
                words.into_iter().map(|(name, number)| (name, number.into())).collect();
            let text = serde_json::to_string_pretty(&map).expect("serialises");
            let value = parse(&text);
            for (name, number) in &map {
                let written = number.to_string();
                prop_assert_eq!(value.get(name).map(Value::raw), Some(written.as_str()));
            }
        }
    }
}
