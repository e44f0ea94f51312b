//! A JSON body with places for facts: no loops, no expressions, so writing one always ends, in time
//! proportional to what is written.

use super::Misfit;
use super::facts::Facts;
use super::path::Path;
use crate::json::{Kind, Value, compact, equal, push_quoted};

/// The name of a member that stands for the members of another object.
const SPREAD: &str = "...";

/// A body, ready to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// JSON that is the same in every body.
    Literal(String),
    Fact(Path),
    Array(Vec<Template>),
    Object(Vec<Member>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Field(String, Template),
    Spread(Path),
}

impl Template {
    /// Reads a template: JSON whose texts may be `{{path}}`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::of(&Value::parse(text).map_err(|refusal| refusal.to_string())?)
    }

    fn of(value: &Value<'_>) -> Result<Self, String> {
        Ok(match value.kind() {
            Kind::String(text) => match Path::in_braces(text)? {
                Some(path) => Self::Fact(path),
                None => Self::Literal(value.raw().to_owned()),
            },
            Kind::Array(items) => Self::Array(items.iter().map(Self::of).collect::<Result<_, _>>()?),
            Kind::Object(object) => {
                let members: Vec<Member> =
                    object.iter().map(|(name, value)| Member::of(name, value)).collect::<Result<_, _>>()?;
                if object.by_name().count() < members.len() {
                    return Err("has a name twice in one object".to_owned());
                }
                Self::Object(members)
            }
            _ => Self::Literal(compact(value.raw()).map_err(|refusal| refusal.to_string())?),
        })
    }

    /// Every path in it.
    pub(super) fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Fact(path) => vec![path],
            Self::Array(items) => items.iter().flat_map(Self::paths).collect(),
            Self::Object(members) => members
                .iter()
                .flat_map(|member| match member {
                    Member::Field(_, template) => template.paths(),
                    Member::Spread(path) => vec![path],
                })
                .collect(),
        }
    }

    /// Writes the body.
    pub(super) fn write(&self, facts: &Facts<'_>, out: &mut String) -> Result<(), Misfit> {
        match self {
            Self::Literal(json) => out.push_str(json),
            Self::Fact(path) => out.push_str(&facts.required(path)?),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(facts, out)?;
                }
                out.push(']');
            }
            Self::Object(members) => ObjectWriter::new(members).write(facts, out)?,
        }
        Ok(())
    }
}

impl Member {
    fn as_field(&self) -> Option<(&str, &Template)> {
        if let Self::Field(name, template) = self { Some((name, template)) } else { None }
    }

    fn of(name: &str, value: &Value<'_>) -> Result<Self, String> {
        if name != SPREAD {
            return Ok(Self::Field(name.to_owned(), Template::of(value)?));
        }
        match value.as_str().map(Path::in_braces).transpose()?.flatten() {
            Some(path @ (Path::Payload(_) | Path::Metadata(_))) => Ok(Self::Spread(path)),
            _ => Err("`...` must be \"{{payload}}\", \"{{metadata}}\" or a path in one of them".to_owned()),
        }
    }
}

/// Writes an object as ECMAScript's `{a, ...b, c}` does, but for one thing: where a name of the
/// template and a spread one meet, their values must agree.
struct ObjectWriter<'t> {
    members: &'t [Member],
    /// A format has few names: a look at each is quicker than a hash.
    written: Vec<&'t str>,
}

impl<'t> ObjectWriter<'t> {
    fn new(members: &'t [Member]) -> Self {
        Self { members, written: Vec::with_capacity(members.len()) }
    }

    fn write(mut self, facts: &Facts<'_>, out: &mut String) -> Result<(), Misfit> {
        out.push('{');
        let start = out.len();
        for member in self.members {
            match member {
                Member::Field(name, template) => self.write_field(name, template, facts, start, out)?,
                Member::Spread(path) => self.write_spread(path, facts, start, out)?,
            }
        }
        out.push('}');
        Ok(())
    }

    /// A field of the template, unless it is written already, where a spread had it.
    fn write_field(
        &mut self,
        name: &'t str,
        template: &Template,
        facts: &Facts<'_>,
        start: usize,
        out: &mut String,
    ) -> Result<(), Misfit> {
        if !self.written.contains(&name) {
            self.written.push(name);
            write_name(name, start, out);
            template.write(facts, out)?;
        }
        Ok(())
    }

    fn write_spread(&mut self, path: &Path, facts: &Facts<'_>, start: usize, out: &mut String) -> Result<(), Misfit> {
        let json = facts.required(path)?;
        let value = Value::parse(&json).map_err(|refusal| Misfit::new(path.to_string(), refusal.to_string()))?;
        let object = value.as_object().ok_or_else(|| Misfit::new(path.to_string(), "must be an object"))?;
        for (name, template) in self.members.iter().filter_map(Member::as_field) {
            if let Some(value) = object.get(name) {
                agree(&format!("{path}.{name}"), value, template, facts)?;
            }
        }
        for (name, value) in object.iter() {
            if let Some((own_name, template)) = self.field(name) {
                self.write_field(own_name, template, facts, start, out)?;
            } else {
                write_name(name, start, out);
                out.push_str(value.raw());
            }
        }
        Ok(())
    }

    fn field(&self, wanted: &str) -> Option<(&'t str, &'t Template)> {
        self.members.iter().filter_map(Member::as_field).find(|(name, _)| *name == wanted)
    }
}

fn write_name(name: &str, start: usize, out: &mut String) {
    if out.len() > start {
        out.push(',');
    }
    push_quoted(name, out);
    out.push(':');
}

/// A payload that says something else than the format does not fit.
fn agree(field: &str, value: &Value<'_>, template: &Template, facts: &Facts<'_>) -> Result<(), Misfit> {
    let mut own = String::new();
    template.write(facts, &mut own)?;
    let is_same = Value::parse(&own).is_ok_and(|own| equal(&own, value));
    if is_same { Ok(()) } else { Err(Misfit::new(field, "contradicts the event")) }
}
