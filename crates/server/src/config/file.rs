//! The TOML file: every value with the line that it stands in.

use std::path::{Path, PathBuf};

use postrider_core::spelling::did_you_mean;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::sections;
use super::setting::Setting;

/// The file that is read if it is there and no other is named.
const DEFAULT_FILE: &str = "postrider.toml";

/// A value of a known setting.
pub(super) struct FileValue {
    /// The path of the setting, or of its file.
    pub(super) path: String,
    /// File, line and path, for messages.
    pub(super) name: String,
    pub(super) value: String,
}

/// The name and text of the file that is named, or of the usual one if there is one.
pub(super) fn find(named: Option<&Path>) -> Result<Option<(String, String)>, ConfigError> {
    let path = named.map_or_else(|| PathBuf::from(DEFAULT_FILE), Path::to_path_buf);
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::new(&name, error.to_string()))?;
    Ok(Some((name, text)))
}

/// Reads the values of a file.
///
/// # Errors
/// [`ConfigError`] with file, line and setting, for what is no TOML, no setting, or no value of one.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<FileValue>, ConfigError> {
    let reader = Reader { name, text };
    let table = DeTable::parse(text).map_err(|error| reader.syntax_error(&error))?;
    let mut values = Vec::new();
    for (key, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if !is_setting(key.get_ref()) => {
                reader.check_section(key)?;
                for (inner, value) in section {
                    values.push(reader.value(&format!("{}.{}", key.get_ref(), inner.get_ref()), inner, value)?);
                }
            }
            _ => values.push(reader.value(key.get_ref(), key, value)?),
        }
    }
    Ok(values)
}

fn is_setting(path: &str) -> bool {
    sections::find(path).is_some()
}

/// The sections of the file that have settings.
fn known_sections() -> impl Iterator<Item = &'static str> {
    sections::all().map(Setting::section).filter(|section| !section.is_empty())
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn value<K>(&self, path: &str, key: &Spanned<K>, value: &Spanned<DeValue<'_>>) -> Result<FileValue, ConfigError> {
        let name = format!("{}: {path}", self.line_of(key.span().start));
        let Some((setting, is_in_file)) = sections::find(path) else {
            let message = if known_sections().any(|section| section == path) {
                format!("is a section: write [{path}] on a line of its own, and its settings below")
            } else {
                let known: Vec<String> = sections::all().flat_map(Setting::paths).collect();
                format!("is not a known setting{}", did_you_mean(path, known.iter().map(String::as_str)))
            };
            return Err(ConfigError::new(name, message));
        };
        let form = if is_in_file { "the path of a file, in quotes" } else { setting.form };
        let text = plain_text(value.get_ref());
        let value = text.ok_or_else(|| ConfigError::new(&name, format!("must be {form}")))?;
        Ok(FileValue { path: path.to_owned(), name, value })
    }

    fn check_section<K: AsRef<str>>(&self, key: &Spanned<K>) -> Result<(), ConfigError> {
        let section = key.get_ref().as_ref();
        if known_sections().any(|known| known == section) {
            return Ok(());
        }
        let name = format!("{}: [{section}]", self.line_of(key.span().start));
        let hint = did_you_mean(section, known_sections());
        Err(ConfigError::new(name, format!("is not a known section{hint}")))
    }

    /// File and line of a place in the text.
    fn line_of(&self, place: usize) -> String {
        format!("{}:{}", self.name, self.line_number(place))
    }

    fn line_number(&self, place: usize) -> usize {
        self.text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
    }

    /// What is no TOML, with the setting of the line if there is one.
    fn syntax_error(&self, error: &toml::de::Error) -> ConfigError {
        let place = error.span().map_or(0, |span| span.start);
        let line = self.line_number(place);
        let setting = self.setting_on(line).map_or_else(String::new, |path| format!(": {path}"));
        let message = error.message().replace('\n', "; ");
        ConfigError::new(format!("{}:{line}{setting}", self.name), format!("is no TOML: {message}"))
    }

    /// The path that a line of such a number sets, if it looks like one that does.
    fn setting_on(&self, number: usize) -> Option<String> {
        let mut section = None;
        for (n, line) in (1..=number).zip(self.text.lines()) {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Some(name.trim());
            }
            if n == number {
                let key = line.split_once('=').map_or(line, |(key, _)| key).trim();
                let path = section.map_or_else(|| key.to_owned(), |section| format!("{section}.{key}"));
                return is_setting(&path).then_some(path);
            }
        }
        None
    }
}

/// A value as the environment would give it; lists are separated by commas. `None` for what no setting has.
fn plain_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| plain_text(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        read("postrider.toml", text).map(|_| ()).expect_err(text).to_string()
    }

    #[test]
    fn values_have_their_paths_and_lines() {
        let text =
            "listen = \"127.0.0.1:1\"\ndev = true\n\n[targets]\nallow = [\"10.0.0.0/8\", \"::1\"]\nin_flight = 1_6";
        let values = read("a.toml", text).expect("valid");
        let mut found: Vec<_> = values.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("a.toml:1: listen", "127.0.0.1:1"),
                ("a.toml:2: dev", "true"),
                ("a.toml:5: targets.allow", "10.0.0.0/8,::1"),
                ("a.toml:6: targets.in_flight", "16"),
            ]
        );
    }

    #[test]
    fn what_is_no_toml_is_told_with_line_and_setting_and_without_the_value() {
        for (text, expected) in [
            ("dev = true\nlisten = sentinel:8080\n", "postrider.toml:2: listen: is no TOML: "),
            ("[retention]\npayloads = 30d", "postrider.toml:2: retention.payloads: is no TOML: "),
            ("\n\nmaster_key = \"sentinel", "postrider.toml:3: master_key: is no TOML: "),
            ("log = \"a\"\nlog = \"b\"", "postrider.toml:2: log: is no TOML: "),
            ("[targets\n", "postrider.toml:1: is no TOML: "),
            ("= 1", "postrider.toml:1: is no TOML: "),
        ] {
            let told = refusal(text);
            assert!(told.starts_with(expected) && told.lines().count() == 1 && !told.contains("sentinel"), "{told}");
        }
    }

    #[test]
    fn what_is_no_setting_is_named_with_its_line_and_the_nearest_that_is() {
        for (text, expected) in [
            ("\nlistne = 1", "postrider.toml:2: listne: is not a known setting; did you mean listen?"),
            (
                "[retention]\npayload = \"1d\"",
                "postrider.toml:2: retention.payload: is not a known setting; did you mean retention.payloads?",
            ),
            ("[targts]\n", "postrider.toml:1: [targts]: is not a known section; did you mean targets?"),
            ("targets = 3", "postrider.toml:1: targets: is a section: write [targets] on a line of its own"),
            ("[listen]\nport = 1", "postrider.toml:1: listen: must be an address"),
            ("listen = 2026-01-19", "postrider.toml:1: listen: must be an address"),
            ("[targets]\nallow = [{ net = \"sentinel\" }]", "postrider.toml:2: targets.allow: must be addresses"),
            ("master_key_file = [[1979-05-27]]", "postrider.toml:1: master_key_file: must be the path of a file"),
        ] {
            let told = refusal(text);
            assert!(told.starts_with(expected) && !told.contains("sentinel"), "{told}");
        }
    }
}
