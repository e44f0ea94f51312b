//! From JSON to conditions.

use super::literal::{Literal, LiteralSet};
use super::{AT_LEAST, AT_MOST, Condition, DEPTH_LIMIT, FilterError, GREATER, LESS, Node, Test, join};
use crate::json::{Kind, Object, Value};

/// The conditions of a whole filter.
pub(super) fn root(object: &Object<'_>) -> Result<Condition, FilterError> {
    Place { outer: None, segment: "", depth: 1, is_payload: true }.object(object)
}

pub(super) fn wrong(place: impl Into<String>, problem: impl Into<String>) -> FilterError {
    FilterError { place: place.into(), problem: problem.into() }
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
            "in" => literals().map(LiteralSet::of).map(Test::In),
            "nin" => literals().map(LiteralSet::of).map(Test::NotIn),
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
