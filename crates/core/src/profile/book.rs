//! The formats that are known.

use std::sync::{Arc, LazyLock};

use super::{Example, Profile, STANDARD};
use crate::event_type::{EventType, EventTypeName};

/// The files of the published formats.
const BUILT_IN: [&str; 5] = [
    include_str!("../../profiles/standard.toml"),
    include_str!("../../profiles/aplyid.toml"),
    include_str!("../../profiles/casekeeper.toml"),
    include_str!("../../profiles/anycheck.toml"),
    include_str!("../../profiles/credas.toml"),
];

static PUBLISHED: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| {
    let read = |source: &&str| Arc::new(Profile::parse(source).expect("the built-in formats are valid"));
    BUILT_IN.iter().map(read).collect()
});

/// The published formats and those that an operator added, with their catalogues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    profiles: Vec<Arc<Profile>>,
    event_types: Vec<EventType>,
}

/// Why a format cannot be added to others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// There is a format of that name already.
    #[error("there is another profile named `{0}`")]
    TwiceNamed(String),
    /// It speaks of an event type that is in no catalogue.
    #[error("the profile `{profile}` speaks of `{event_type}`, which is in no catalogue; list it in `groups`")]
    UnknownType {
        /// The format.
        profile: String,
        /// The type.
        event_type: EventTypeName,
    },
}

impl Profiles {
    /// The published formats alone.
    #[must_use]
    pub fn published() -> Self {
        Self::of(PUBLISHED.clone())
    }

    fn of(profiles: Vec<Arc<Profile>>) -> Self {
        let event_types = profiles.iter().flat_map(|profile| event_types_of(profile)).collect();
        Self { profiles, event_types }
    }

    /// The same with one more.
    ///
    /// # Errors
    /// [`Conflict`] if the name is taken.
    pub fn with(self, profile: Profile) -> Result<Self, Conflict> {
        if self.named(&profile.name).is_some() {
            return Err(Conflict::TwiceNamed(profile.name));
        }
        let mut profiles = self.profiles;
        profiles.push(Arc::new(profile));
        Ok(Self::of(profiles))
    }

    /// Whether every type that a condition or an example is of is in a catalogue.
    ///
    /// # Errors
    /// [`Conflict`] names the first that is not.
    pub fn check_types(&self) -> Result<(), Conflict> {
        for profile in &self.profiles {
            if let Some(unknown) = profile.types_spoken_of().find(|name| !self.has_type(name)) {
                let (profile, event_type) = (profile.name.clone(), unknown.clone());
                return Err(Conflict::UnknownType { profile, event_type });
            }
        }
        Ok(())
    }

    /// The format of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Profile>> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// All of them: the published ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.iter()
    }

    /// Every format's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name.as_str())
    }

    /// Their catalogues, format by format, group by group.
    ///
    /// A name may stand in two (`verification.completed`): it is one event type, listed in both.
    #[must_use]
    pub fn event_types(&self) -> &[EventType] {
        &self.event_types
    }

    /// An example of an event of any type: one of its document, or one that says that it is an example.
    #[must_use]
    pub fn example_of(&self, event_type: &EventTypeName) -> Example {
        let own = self.profiles.iter().flat_map(|profile| &profile.examples);
        let own = own.into_iter().find(|example| example.event_type == *event_type);
        let of_document = || {
            let others = self.profiles.iter().filter(|profile| profile.name != STANDARD);
            others.into_iter().find_map(|profile| profile.example_of(event_type))
        };
        match own.or_else(of_document) {
            Some(example) => Example { event_type: event_type.clone(), ..example.clone() },
            None => Example {
                event_type: event_type.clone(),
                payload: format!(
                    r#"{{"id":"01234567-89ab-cdef-0123-456789abcdef","message":"This is an example of {event_type}."}}"#
                ),
                metadata: None,
            },
        }
    }

    /// Whether a type is in one of their catalogues.
    #[must_use]
    pub fn has_type(&self, name: &EventTypeName) -> bool {
        self.event_types.iter().any(|known| known.name == *name)
    }
}

fn event_types_of(profile: &Profile) -> impl Iterator<Item = EventType> {
    profile.groups.iter().flat_map(|group| {
        group.event_types.iter().map(|(name, description)| EventType {
            name: name.clone(),
            group: group.name.clone(),
            description: description.clone(),
            profile: Some(profile.name.clone()),
            custom: false,
        })
    })
}
