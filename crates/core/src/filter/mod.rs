//! Filters: which payloads a subscription wants.
//!
//! A filter is JSON that mirrors the payload: a plain value means equal, an object of operators means
//! all of them, `$and`, `$or` and `$not` combine. It is compiled once and evaluated in time
//! proportional to its own size and the payload's.

mod compile;
mod literal;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::json::{Kind, Value};
use compile::wrong;
use literal::{Literal, LiteralSet};

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
    In(LiteralSet),
    NotIn(LiteralSet),
    Exists(bool),
    StartsWith(String),
    EndsWith(String),
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
        let root = compile::root(object)?;
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

    /// How many values it compares with: what a tenant's filters may have together is limited.
    #[must_use]
    pub fn literal_count(&self) -> usize {
        self.0.root.literal_count()
    }

    /// Whether `payload` passes.
    #[must_use]
    pub fn passes(&self, payload: &Value<'_>) -> bool {
        self.0.root.holds(Some(payload))
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
    /// Whether it holds; `value` is `None` where the payload has nothing.
    fn holds(&self, value: Option<&Value<'_>>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(value)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(value)),
            Self::Not(condition) => !condition.holds(value),
            Self::Test(test) => test.holds(value),
        }
    }

    fn literal_count(&self) -> usize {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(|node| node.condition.literal_count()).sum(),
            Self::Not(condition) => condition.literal_count(),
            Self::Test(test) => test.literal_count(),
        }
    }

    /// The way to the condition that fails, from the inside out; `value` is `None` where the payload
    /// has nothing.
    fn failing(&self, value: Option<&Value<'_>>) -> Option<Vec<&str>> {
        match self {
            Self::All(nodes) => nodes.iter().find_map(|node| node.failing(value)),
            other => (!other.holds(value)).then(Vec::new),
        }
    }
}

impl Node {
    /// What its condition is about.
    fn subject<'v, 'a>(&self, value: Option<&'v Value<'a>>) -> Option<&'v Value<'a>> {
        if self.is_member { value.and_then(|value| value.get(&self.segment)) } else { value }
    }

    fn holds(&self, value: Option<&Value<'_>>) -> bool {
        self.condition.holds(self.subject(value))
    }

    fn failing(&self, value: Option<&Value<'_>>) -> Option<Vec<&str>> {
        let mut segments = self.condition.failing(self.subject(value))?;
        segments.push(&self.segment);
        Some(segments)
    }
}

impl Test {
    fn literal_count(&self) -> usize {
        match self {
            Self::Equal(literal) | Self::NotEqual(literal) | Self::Ordered(_, literal) => literal.count(),
            Self::In(literals) | Self::NotIn(literals) => literals.count(),
            Self::Exists(_) | Self::StartsWith(_) | Self::EndsWith(_) => 1,
        }
    }

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
            Self::In(literals) => value.is_some_and(|value| literals.contains(value)),
            Self::NotIn(literals) => !value.is_some_and(|value| literals.contains(value)),
            Self::Exists(wanted) => value.is_some() == *wanted,
            Self::StartsWith(start) => text().is_some_and(|text| text.starts_with(start.as_str())),
            Self::EndsWith(end) => text().is_some_and(|text| text.ends_with(end.as_str())),
        }
    }
}

fn join(path: &str, segment: &str) -> String {
    if path.is_empty() || segment.is_empty() || segment.starts_with('[') {
        format!("{path}{segment}")
    } else {
        format!("{path}.{segment}")
    }
}
