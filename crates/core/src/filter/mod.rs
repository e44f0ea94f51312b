//! Filters: which payloads a subscription wants.
//!
//! A filter is JSON that mirrors the payload: a plain value means equal, an object of operators means
//! all of them, `$and`, `$or` and `$not` combine. It is compiled once and evaluated in time
//! proportional to its own size and the payload's.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::json::{Decimal, Kind, Object, Value, equal};

/// Largest filter, in bytes without white space.
pub const SIZE_LIMIT: usize = 16 * 1024;
/// Deepest nesting of a filter.
pub const DEPTH_LIMIT: usize = 16;

/// A compiled filter. Cheap to clone.
#[derive(Clone)]
pub struct Filter(Arc<Compiled>);

struct Compiled {
    source: String,
    root: Condition,
}

/// A filter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct FilterError {
    /// Where in the filter, such as `client.score.$gte`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

/// A condition and how it is reached from the one around it.
struct Node {
    /// The name of a member, an operator, or a place in a list such as `[1]`.
    segment: String,
    /// Whether it is about the member of that name, and not about the value itself.
    is_member: bool,
    condition: Condition,
}

enum Condition {
    /// Every one must hold.
    All(Vec<Node>),
    /// At least one must hold.
    Any(Vec<Node>),
    /// It must not hold.
    Not(Box<Condition>),
    /// It must hold for the value itself.
    Test(Test),
}

enum Test {
    Equal(Literal),
    NotEqual(Literal),
    /// In one of these orders to the literal.
    Ordered(&'static [Ordering], Literal),
    In(Vec<Literal>),
    NotIn(Vec<Literal>),
    Exists(bool),
    StartsWith(String),
    EndsWith(String),
}

/// A value of the filter.
enum Literal {
    Null,
    Bool(bool),
    Number(Decimal<'static>),
    Text(String),
    /// A list or an object, as it was written.
    Whole(String),
}

const GREATER: &[Ordering] = &[Ordering::Greater];
const AT_LEAST: &[Ordering] = &[Ordering::Greater, Ordering::Equal];
const LESS: &[Ordering] = &[Ordering::Less];
const AT_MOST: &[Ordering] = &[Ordering::Less, Ordering::Equal];

impl Filter {
    /// The filter that lets everything pass.
    #[must_use]
    pub fn everything() -> Self {
        Self(Arc::new(Compiled { source: "{}".to_owned(), root: Condition::All(Vec::new()) }))
    }

    /// Compiles a filter: a JSON object without white space.
    ///
    /// # Errors
    /// [`FilterError`] names the place of what cannot be used.
    pub fn compile(source: &str) -> Result<Self, FilterError> {
        if source.len() > SIZE_LIMIT {
            return Err(wrong("the filter", format!("must have at most {SIZE_LIMIT} bytes")));
        }
        let value = Value::parse(source).map_err(|refusal| wrong("the filter", refusal.to_string()))?;
        let Kind::Object(object) = value.kind() else { return Err(wrong("the filter", "must be an object")) };
        let root = Place { outer: None, segment: "", depth: 1, is_payload: true }.object(object)?;
        Ok(Self(Arc::new(Compiled { source: source.to_owned(), root })))
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether it lets everything pass, so that no payload need be read.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(&self.0.root, Condition::All(nodes) if nodes.is_empty())
    }

    /// The place of the first condition that `payload` does not meet; `None` if it passes.
    #[must_use]
    pub fn failing_place(&self, payload: &Value<'_>) -> Option<String> {
        let segments = self.0.root.failing(Some(payload))?;
        Some(segments.into_iter().rev().fold(String::new(), |path, segment| join(&path, segment)))
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.source()).finish()
    }
}

impl Condition {
    /// The way to the condition that fails, from the inside out; `value` is `None` where the payload
    /// has nothing.
    fn failing(&self, value: Option<&Value<'_>>) -> Option<Vec<&str>> {
        let holds = match self {
            Self::All(nodes) => return nodes.iter().find_map(|node| node.failing(value)),
            Self::Any(nodes) => nodes.iter().any(|node| node.failing(value).is_none()),
            Self::Not(condition) => condition.failing(value).is_some(),
            Self::Test(test) => test.holds(value),
        };
        (!holds).then(Vec::new)
    }
}

impl Node {
    fn failing(&self, value: Option<&Value<'_>>) -> Option<Vec<&str>> {
        let value = if self.is_member { value.and_then(|value| value.get(&self.segment)) } else { value };
        let mut segments = self.condition.failing(value)?;
        segments.push(&self.segment);
        Some(segments)
    }
}

impl Test {
    fn holds(&self, value: Option<&Value<'_>>) -> bool {
        let is = |literal: &Literal| value.is_some_and(|value| literal.equals(value));
        let text = || value.and_then(Value::as_str);
        match self {
            Self::Equal(literal) => is(literal),
            Self::NotEqual(literal) => !is(literal),
            Self::Ordered(orders, literal) => {
                let order = value.and_then(|value| literal.compared_with(value));
                order.is_some_and(|order| orders.contains(&order))
            }
            Self::In(literals) => literals.iter().any(is),
            Self::NotIn(literals) => !literals.iter().any(is),
            Self::Exists(wanted) => value.is_some() == *wanted,
            Self::StartsWith(start) => text().is_some_and(|text| text.starts_with(start.as_str())),
            Self::EndsWith(end) => text().is_some_and(|text| text.ends_with(end.as_str())),
        }
    }
}

impl Literal {
    fn of(value: &Value<'_>) -> Self {
        match value.kind() {
            Kind::Null => Self::Null,
            Kind::Bool(is) => Self::Bool(*is),
            Kind::Number(number) => Self::Number(number.decimal(value.raw()).into_owned().into_owned()),
            Kind::String(text) => Self::Text(text.clone().into_owned()),
            Kind::Array(_) | Kind::Object(_) => Self::Whole(value.raw().to_owned()),
        }
    }

    fn equals(&self, value: &Value<'_>) -> bool {
        match (self, value.kind()) {
            (Self::Null, Kind::Null) => true,
            (Self::Bool(own), Kind::Bool(other)) => own == other,
            (Self::Number(_), Kind::Number(_)) | (Self::Text(_), Kind::String(_)) => {
                self.compared_with(value) == Some(Ordering::Equal)
            }
            (Self::Whole(source), Kind::Array(_) | Kind::Object(_)) => {
                Value::parse(source).is_ok_and(|own| equal(&own, value))
            }
            _ => false,
        }
    }

    /// How `value` stands to it, if both are numbers or both are text.
    fn compared_with(&self, value: &Value<'_>) -> Option<Ordering> {
        match (self, value.kind()) {
            (Self::Number(own), Kind::Number(number)) => Some(number.decimal(value.raw()).compare(own)),
            (Self::Text(own), Kind::String(text)) => Some((**text).cmp(own.as_str())),
            _ => None,
        }
    }
}

fn wrong(place: impl Into<String>, problem: impl Into<String>) -> FilterError {
    FilterError { place: place.into(), problem: problem.into() }
}

fn join(path: &str, segment: &str) -> String {
    if path.is_empty() || segment.is_empty() || segment.starts_with('[') {
        format!("{path}{segment}")
    } else {
        format!("{path}.{segment}")
    }
}

/// Where in a filter something is compiled. Its path is put together only to be told.
struct Place<'p> {
    outer: Option<&'p Place<'p>>,
    segment: &'p str,
    /// Of an object that stands here.
    depth: usize,
    /// Whether conditions here are about the whole payload, which is an object.
    is_payload: bool,
}

impl Place<'_> {
    fn path(&self) -> String {
        self.outer.map_or_else(String::new, |outer| join(&outer.path(), self.segment))
    }

    fn wrong(&self, problem: impl Into<String>) -> FilterError {
        let path = self.path();
        wrong(if path.is_empty() { "the filter" } else { &path }, problem)
    }

    fn too_deep(&self) -> FilterError {
        self.wrong(format!("is nested deeper than {DEPTH_LIMIT} levels"))
    }

    /// What is inside, so many levels deeper, about the same value.
    fn inside<'s>(&'s self, segment: &'s str, levels: usize) -> Place<'s> {
        Place { outer: Some(self), segment, depth: self.depth + levels, is_payload: self.is_payload }
    }

    /// Any value of a filter: an object is conditions, anything else means equal.
    fn value(&self, value: &Value<'_>) -> Result<Condition, FilterError> {
        match value.kind() {
            Kind::Object(object) => self.object(object),
            _ if self.is_payload => Err(self.wrong("must be an object: the payload is one")),
            _ => Ok(Condition::Test(Test::Equal(self.literal(value)?))),
        }
    }

    fn object(&self, object: &Object<'_>) -> Result<Condition, FilterError> {
        if self.depth > DEPTH_LIMIT {
            return Err(self.too_deep());
        }
        let mut nodes = Vec::new();
        let (mut member, mut operator) = (None, None);
        for (name, value) in object.iter() {
            let (is_member, condition) = match name.strip_prefix('$') {
                None => {
                    member = Some(name);
                    (true, Place { is_payload: false, ..self.inside(name, 1) }.value(value)?)
                }
                Some("and") => (false, Condition::All(self.inside(name, 2).list(value)?)),
                Some("or") => (false, Condition::Any(self.inside(name, 2).list(value)?)),
                Some("not") => (false, Condition::Not(Box::new(self.inside(name, 1).value(value)?))),
                Some(word) => {
                    operator = Some(name);
                    (false, Condition::Test(self.inside(name, 1).test(word, value)?))
                }
            };
            nodes.push(Node { segment: name.to_owned(), is_member, condition });
        }
        if object.by_name().count() < nodes.len() {
            return Err(self.wrong("has a name twice"));
        }
        match (member, operator) {
            (Some(member), Some(operator)) => {
                Err(self.wrong(format!("mixes the operator `{operator}` with the name `{member}`")))
            }
            (None, Some(operator)) if self.is_payload => {
                Err(self.wrong(format!("has the operator `{operator}`; name the field that it is about")))
            }
            _ => Ok(Condition::All(nodes)),
        }
    }

    /// The conditions of `$and` and `$or`.
    fn list(&self, value: &Value<'_>) -> Result<Vec<Node>, FilterError> {
        let items = self.items(value)?;
        if items.is_empty() {
            return Err(self.wrong("must not be empty"));
        }
        let node = |(at, item)| {
            let segment = format!("[{at}]");
            let condition = self.inside(&segment, 0).value(item)?;
            Ok(Node { segment, is_member: false, condition })
        };
        items.iter().enumerate().map(node).collect()
    }

    fn items<'v, 'a>(&self, value: &'v Value<'a>) -> Result<&'v [Value<'a>], FilterError> {
        if let Kind::Array(items) = value.kind() { Ok(items) } else { Err(self.wrong("must be a list")) }
    }

    fn test(&self, operator: &str, value: &Value<'_>) -> Result<Test, FilterError> {
        let literal = || self.literal(value);
        let literals = || -> Result<Vec<Literal>, FilterError> {
            let item = self.inside("", 1);
            self.items(value)?.iter().map(|value| item.literal(value)).collect()
        };
        let ordered = |orders| match literal()? {
            literal @ (Literal::Number(_) | Literal::Text(_)) => Ok(Test::Ordered(orders, literal)),
            _ => Err(self.wrong("must be a number or a string")),
        };
        let text = || match literal()? {
            Literal::Text(text) => Ok(text),
            _ => Err(self.wrong("must be a string")),
        };
        match operator {
            "eq" => literal().map(Test::Equal),
            "neq" => literal().map(Test::NotEqual),
            "gt" => ordered(GREATER),
            "gte" => ordered(AT_LEAST),
            "lt" => ordered(LESS),
            "lte" => ordered(AT_MOST),
            "in" => literals().map(Test::In),
            "nin" => literals().map(Test::NotIn),
            "exist" => match literal()? {
                Literal::Bool(wanted) => Ok(Test::Exists(wanted)),
                _ => Err(self.wrong("must be true or false")),
            },
            "startsWith" => text().map(Test::StartsWith),
            "endsWith" => text().map(Test::EndsWith),
            _ => Err(self.wrong(
                "is no operator; there are $eq, $neq, $gt, $gte, $lt, $lte, $in, $nin, $exist, $startsWith, \
                 $endsWith, $and, $or and $not",
            )),
        }
    }

    /// A value to compare with, within the depth that is left.
    fn literal(&self, value: &Value<'_>) -> Result<Literal, FilterError> {
        if self.depth + nesting(value) > DEPTH_LIMIT + 1 {
            return Err(self.too_deep());
        }
        Ok(Literal::of(value))
    }
}

/// How many objects and lists are inside each other.
fn nesting(value: &Value<'_>) -> usize {
    match value.kind() {
        Kind::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Kind::Object(object) => 1 + object.iter().map(|(_, value)| nesting(value)).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PAYLOAD: &str = r#"{
        "client": {"approval_status": "approved", "name": null, "tags": ["a", "b"]},
        "score": 0.50, "external_id": "order-9281", "country": "AU", "big": 12345678901234567890
    }"#;

    fn failing(filter: &str, payload: &str) -> Option<String> {
        let filter = Filter::compile(filter).expect("usable");
        let payload = Value::parse(payload).expect("valid");
        filter.failing_place(&payload)
    }

    #[rstest]
    #[case("{}")]
    #[case(
        r#"{"client":{"approval_status":"approved"},"score":{"$gte":0.5},"external_id":{"$exist":true},
            "$or":[{"country":"TH"},{"country":{"$in":["NZ","AU"]}}]}"#
    )]
    #[case(r#"{"client":{"name":null}}"#)]
    #[case(r#"{"client":{"tags":["a","b"]}}"#)]
    #[case(r#"{"client":{"$eq":{"tags":["a","b"],"name":null,"approval_status":"approved"}}}"#)]
    #[case(r#"{"missing":{"$exist":false}}"#)]
    #[case(r#"{"missing":{"deeper":{"$exist":false}}}"#)]
    #[case(r#"{"missing":{"$neq":1}}"#)]
    #[case(r#"{"missing":{"$nin":[null]}}"#)]
    #[case(r#"{"score":{"$gt":5e-1000000,"$lt":5e1000000}}"#)]
    #[case(r#"{"score":{"$or":[{"$lt":0},{"$gte":0.5}]}}"#)]
    #[case(r#"{"score":{"$or":[1,0.5]}}"#)]
    #[case(r#"{"big":{"$gt":12345678901234567889,"$lt":12345678901234567891}}"#)]
    #[case(r#"{"external_id":{"$startsWith":"order-","$endsWith":"81"}}"#)]
    #[case(r#"{"country":{"$gt":"AT","$lte":"AU"}}"#)]
    #[case(r#"{"$not":{"country":"TH"}}"#)]
    #[case(r#"{"country":{"$not":{"$in":["TH"]}}}"#)]
    #[case(r#"{"$and":[{"country":"AU"},{"score":0.5}]}"#)]
    fn passes(#[case] filter: &str) {
        assert_eq!(failing(filter, PAYLOAD), None);
    }

    #[rstest]
    #[case(r#"{"client":{"approval_status":"denied"}}"#, "client.approval_status")]
    #[case(r#"{"score":{"$gte":0.5,"$lt":0.5}}"#, "score.$lt")]
    #[case(r#"{"score":"0.5"}"#, "score")]
    #[case(r#"{"score":{"$gt":"0"}}"#, "score.$gt")]
    #[case(r#"{"missing":null}"#, "missing")]
    #[case(r#"{"client":{"name":{"$exist":false}}}"#, "client.name.$exist")]
    #[case(r#"{"client":{"tags":"a"}}"#, "client.tags")]
    #[case(r#"{"client":{"tags":["b","a"]}}"#, "client.tags")]
    #[case(r#"{"country":{"$in":["TH","NZ"]}}"#, "country.$in")]
    #[case(r#"{"country":{"$nin":["AU"]}}"#, "country.$nin")]
    #[case(r#"{"score":{"$startsWith":"0"}}"#, "score.$startsWith")]
    #[case(r#"{"country":{"name":"AU"}}"#, "country.name")]
    #[case(r#"{"$or":[{"country":"TH"},{"score":{"$lt":0}}]}"#, "$or")]
    #[case(r#"{"$not":{"country":"AU"}}"#, "$not")]
    #[case(r#"{"$and":[{"country":"AU"},{"score":1}]}"#, "$and[1].score")]
    #[case(r#"{"missing":{"$gt":0}}"#, "missing.$gt")]
    fn turns_away_and_says_where(#[case] filter: &str, #[case] place: &str) {
        assert_eq!(failing(filter, PAYLOAD).as_deref(), Some(place));
    }

    #[rstest]
    #[case(r#"{"a":{"$near":1}}"#, "a.$near")]
    #[case(r#"{"a":{"$gt":true}}"#, "a.$gt")]
    #[case(r#"{"a":{"$in":1}}"#, "a.$in")]
    #[case(r#"{"a":{"$exist":1}}"#, "a.$exist")]
    #[case(r#"{"a":{"$startsWith":1}}"#, "a.$startsWith")]
    #[case(r#"{"a":{"$gt":1,"b":2}}"#, "a")]
    #[case(r#"{"$or":[]}"#, "$or")]
    #[case(r#"{"$or":[1]}"#, "$or[0]")]
    #[case(r#"{"$and":[{"$or":[{"a":1},1]}]}"#, "$and[0].$or[1]")]
    #[case(r#"{"$not":5}"#, "$not")]
    #[case(r#"{"$not":{"$eq":1}}"#, "$not")]
    #[case(r#"{"$and":[{"$eq":1}]}"#, "$and[0]")]
    #[case(r#"{"$or":{"a":1}}"#, "$or")]
    #[case(r#"{"$eq":1}"#, "the filter")]
    #[case(r#"{"a":1,"a":2}"#, "the filter")]
    #[case("[]", "the filter")]
    #[case("{", "the filter")]
    fn what_cannot_be_used_is_refused_by_place(#[case] filter: &str, #[case] place: &str) {
        assert_eq!(Filter::compile(filter).expect_err("unusable").place, place);
    }

    #[test]
    fn size_and_depth_are_limited() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(Filter::compile(&nested(DEPTH_LIMIT)).is_ok());
        assert!(Filter::compile(&nested(DEPTH_LIMIT + 1)).is_err());
        let list = |depth: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(Filter::compile(&list(DEPTH_LIMIT - 1)).is_ok());
        assert!(Filter::compile(&list(DEPTH_LIMIT)).is_err());
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(SIZE_LIMIT));
        assert!(Filter::compile(&long).is_err());
    }

    /// A thousand alternatives over a payload of a megabyte: were it their product, this would not end.
    #[test]
    fn takes_time_in_proportion_to_filter_and_payload() {
        let digits = "9".repeat(300_000);
        let members: Vec<String> = (0..20_000).map(|n| format!(r#""m{n}":{n}"#)).collect();
        let payload = format!(r#"{{"a":{digits},{}}}"#, members.join(","));
        let value = Value::parse(&payload).expect("valid");
        let branches: Vec<String> = (0..1000).map(|n| format!(r#"{{"a":{n}}}"#)).collect();
        let filter = Filter::compile(&format!(r#"{{"$or":[{}]}}"#, branches.join(","))).expect("usable");
        for _ in 0..1000 {
            assert_eq!(filter.failing_place(&value).as_deref(), Some("$or"));
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(
            filter in "[\\[\\]{}\",:0-9e.\\- a$orntguqis]{0,60}",
            payload in "\\{\"[a-c]\":(1|\"x\"|null|\\[1\\]|\\{\"a\":2\\})\\}",
        ) {
            if let Ok(filter) = Filter::compile(&filter) {
                let _ = filter.failing_place(&Value::parse(&payload).expect("valid"));
            }
        }
    }
}
