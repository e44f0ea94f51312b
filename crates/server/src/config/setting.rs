//! What a setting is: its name in each source, how its value looks, and what it means.

/// Environment variables of settings begin so.
pub(super) const PREFIX: &str = "POSTRIDER_";

/// What a secret's other setting ends with, which names a file that holds it.
const FILE_SUFFIX: &str = "_file";

/// How a value is written in a TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    List,
}

/// A setting. The reference page and the example file are made of these.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its place in the file, such as `targets.allow`.
    pub(super) path: &'static str,
    /// The flag of `postrider serve` that sets it.
    pub(super) flag: Option<&'static str>,
    /// How a value is written in the file.
    pub(super) kind: Kind,
    /// How a value must look; completes "must be …".
    pub(super) form: &'static str,
    /// The value that holds if none is given, as a source would give it.
    pub(super) default: Option<&'static str>,
    /// What holds if none is given and there is no default value, in words.
    pub(super) otherwise: &'static str,
    /// A value for the example file, where there is no default; of a secret, the path of its file.
    pub(super) example: &'static str,
    /// What it means: sentences in Markdown.
    pub(super) about: &'static str,
    /// A secret may stand in a file of its own, which the setting with `_file` behind its name names.
    pub(super) is_secret: bool,
}

impl Setting {
    /// A setting without a default.
    pub(super) const fn new(path: &'static str, form: &'static str, about: &'static str) -> Self {
        Self {
            path,
            flag: None,
            kind: Kind::Text,
            form,
            default: None,
            otherwise: "none",
            example: "",
            about,
            is_secret: false,
        }
    }

    pub(super) const fn flag(self, flag: &'static str) -> Self {
        Self { flag: Some(flag), ..self }
    }

    pub(super) const fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub(super) const fn default(self, value: &'static str) -> Self {
        Self { default: Some(value), ..self }
    }

    pub(super) const fn otherwise(self, words: &'static str) -> Self {
        Self { otherwise: words, ..self }
    }

    pub(super) const fn example(self, value: &'static str) -> Self {
        Self { example: value, ..self }
    }

    pub(super) const fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// Its environment variable.
    pub(super) fn variable(&self) -> String {
        variable_of(self.path)
    }

    /// The setting that names a file with the value, for a secret.
    pub(super) fn file_path(&self) -> Option<String> {
        self.is_secret.then(|| format!("{}{FILE_SUFFIX}", self.path))
    }

    /// Its names in the file: its own and, for a secret, that of the file.
    pub(super) fn paths(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.path.to_owned()).chain(self.file_path())
    }

    /// The section of the file that it stands in; empty at the top.
    pub(super) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }
}

/// The environment variable of a path: capitals, dots as underscores.
pub(super) fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "_"))
}
