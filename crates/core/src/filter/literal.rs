//! Values that a filter compares with: read once, when the filter is compiled.

use std::cmp::Ordering;

use crate::json::{Decimal, Kind, Value};

/// A value of a filter.
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(Decimal<'static>),
    Text(String),
    List(Vec<Literal>),
    /// Members by name, each once, in the order of names.
    Object(Vec<(String, Literal)>),
}

impl Literal {
    pub(super) fn of(value: &Value<'_>) -> Self {
        match value.kind() {
            Kind::Null => Self::Null,
            Kind::Bool(is) => Self::Bool(*is),
            Kind::Number(number) => Self::Number(number.decimal(value.raw()).into_owned().into_owned()),
            Kind::String(text) => Self::Text(text.clone().into_owned()),
            Kind::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Kind::Object(object) => {
                Self::Object(object.by_name().map(|(name, value)| (name.to_owned(), Self::of(value))).collect())
            }
        }
    }

    /// Whether a value is the same: numbers by what they are worth, objects whatever their order. Takes no longer than
    /// the literal is long.
    pub(super) fn equals(&self, value: &Value<'_>) -> bool {
        match (self, value.kind()) {
            (Self::Null, Kind::Null) => true,
            (Self::Bool(own), Kind::Bool(other)) => own == other,
            (Self::Number(_), Kind::Number(_)) | (Self::Text(_), Kind::String(_)) => {
                self.compared_with(value) == Some(Ordering::Equal)
            }
            (Self::List(own), Kind::Array(others)) => {
                own.len() == others.len() && own.iter().zip(others).all(|(own, other)| own.equals(other))
            }
            (Self::Object(own), Kind::Object(others)) => {
                own.len() == others.name_count()
                    && own
                        .iter()
                        .zip(others.by_name())
                        .all(|((name, own), (other_name, other))| name == other_name && own.equals(other))
            }
            _ => false,
        }
    }

    /// How `value` stands to it, if both are numbers or both are text.
    pub(super) fn compared_with(&self, value: &Value<'_>) -> Option<Ordering> {
        match (self, value.kind()) {
            (Self::Number(own), Kind::Number(number)) => Some(number.decimal(value.raw()).compare(own)),
            (Self::Text(own), Kind::String(text)) => Some((**text).cmp(own.as_str())),
            _ => None,
        }
    }

    /// How many values without values inside it has; one at least.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::List(items) => items.iter().map(Self::count).sum::<usize>().max(1),
            Self::Object(members) => members.iter().map(|(_, value)| value.count()).sum::<usize>().max(1),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => 1,
        }
    }
}

/// Values of which a payload's is to be one: numbers and texts are found by bisection, so that a list of thousands costs
/// little more than one of two.
#[derive(Default)]
pub(super) struct LiteralSet {
    /// In their order.
    numbers: Vec<Decimal<'static>>,
    /// In their order.
    texts: Vec<String>,
    others: Vec<Literal>,
}

impl LiteralSet {
    pub(super) fn of(literals: Vec<Literal>) -> Self {
        let mut set = Self::default();
        for literal in literals {
            match literal {
                Literal::Number(number) => set.numbers.push(number),
                Literal::Text(text) => set.texts.push(text),
                other => set.others.push(other),
            }
        }
        set.numbers.sort_by(Decimal::compare);
        set.texts.sort();
        set
    }

    pub(super) fn contains(&self, value: &Value<'_>) -> bool {
        match value.kind() {
            Kind::Number(number) => {
                let number = number.decimal(value.raw());
                self.numbers.binary_search_by(|own| own.compare(&number)).is_ok()
            }
            Kind::String(text) => self.texts.binary_search_by(|own| own.as_str().cmp(text)).is_ok(),
            _ => self.others.iter().any(|own| own.equals(value)),
        }
    }

    /// See [`Literal::count`].
    pub(super) fn count(&self) -> usize {
        self.numbers.len() + self.texts.len() + self.others.iter().map(Literal::count).sum::<usize>()
    }
}
