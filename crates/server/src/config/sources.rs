//! What the file, the environment and the flags say, by setting.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Read;
use std::path::PathBuf;

use super::error::ConfigError;
use super::setting::{Setting, variable_of};
use super::{environment, file, sections};
use crate::cli::ServeOptions;

/// Longest content of a file that holds a secret, in bytes.
const SECRET_LIMIT: u64 = 64 * 1024;

/// Values as text, by the path of their setting.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<&'static str, Given>);

/// Later sources override earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    File,
    Environment,
    Flags,
}

/// A value as a source gives it.
#[derive(Debug)]
struct Given {
    source: Source,
    /// The setting as the source spells it, for messages.
    name: String,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Here(String),
    InFile(PathBuf),
}

impl Sources {
    /// Adds what the text of a TOML file says; `name` is the file's, for messages.
    pub(super) fn add_file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        for given in file::read(name, text)? {
            let (setting, is_in_file) = sections::find(&given.path).expect("the file's reader knows its settings");
            self.add(Source::File, setting, is_in_file, given.name, given.value)?;
        }
        Ok(())
    }

    /// Adds the variables that are settings.
    pub(super) fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            if let Some((setting, is_in_file, name, value)) = environment::read(&name, &value)? {
                self.add(Source::Environment, setting, is_in_file, name, value)?;
            }
        }
        Ok(())
    }

    /// Adds what stands on the command line.
    pub(super) fn add_flags(&mut self, options: &ServeOptions) {
        let dev = options.dev.then(|| "true".to_owned());
        let flags = [
            ("listen", options.listen.clone()),
            ("database_url", options.store.database.clone().map(|url| url.0)),
            ("role", options.role.clone()),
            ("dev", dev),
        ];
        for (path, value) in flags {
            let (setting, _) = sections::find(path).expect("the flags' settings are known");
            let (Some(value), Some(flag)) = (value, setting.flag) else { continue };
            let given = Given { source: Source::Flags, name: flag.to_owned(), value: Value::Here(value) };
            self.0.insert(setting.path, given);
        }
    }

    fn add(
        &mut self,
        source: Source,
        setting: &'static Setting,
        is_in_file: bool,
        name: String,
        value: String,
    ) -> Result<(), ConfigError> {
        let value = if is_in_file { Value::InFile(value.into()) } else { Value::Here(value) };
        let given = Given { source, name, value };
        match self.0.entry(setting.path) {
            Entry::Occupied(earlier) if earlier.get().source == source => {
                Err(ConfigError::new(given.name, format!("{} is set as well; set one of the two", earlier.get().name)))
            }
            Entry::Occupied(mut earlier) => {
                earlier.insert(given);
                Ok(())
            }
            Entry::Vacant(place) => {
                place.insert(given);
                Ok(())
            }
        }
    }

    /// What a setting says, or its default; `None` if it has none.
    ///
    /// # Errors
    /// [`ConfigError`] with `read`'s message, or if the file that is named cannot be read.
    pub(super) fn read_with<T, E: Display>(
        &self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = self.0.get(setting.path) else {
            let default = setting
                .default
                .map(|text| read(text).map_err(|error| ConfigError::new(variable_of(setting.path), error.to_string())));
            return default.transpose();
        };
        let wrong = |message: String| ConfigError::new(&given.name, message);
        match &given.value {
            Value::Here(text) => read(text).map(Some).map_err(|error| wrong(error.to_string())),
            Value::InFile(path) => {
                let shown = path.display();
                let text = read_secret(path).map_err(|error| wrong(format!("cannot read {shown}: {error}")))?;
                read(&text).map(Some).map_err(|error| wrong(format!("what {shown} holds {error}")))
            }
        }
    }

    /// The same for a reader that only says yes or no: the message tells the setting's form.
    pub(super) fn read<T>(
        &self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.read_with(setting, |text| read(text).ok_or_else(|| format!("must be {}", setting.form)))
    }

    /// The same for a setting that always has a value.
    pub(super) fn require<T>(&self, setting: &Setting, read: impl FnOnce(&str) -> Option<T>) -> Result<T, ConfigError> {
        Ok(self.read(setting, read)?.expect("the setting has a default"))
    }
}

/// The content of a file without the line ends behind it.
fn read_secret(path: &PathBuf) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SECRET_LIMIT).read_to_string(&mut text)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
