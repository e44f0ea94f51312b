//! The reference page and the example file, made of what the sections declare.

use std::fmt::Write;

use super::sections::{SECTIONS, Section};
use super::setting::{Kind, Setting, variable_of};

const PAGE_HEAD: &str = "# Settings

<!-- Written by `make generated` from `crates/server/src/config/sections/`; edit it there. -->

Flags override environment variables, which override a TOML file: the one that `--config FILE` names, or `postrider.toml`
in the working folder. [`deploy/postrider.toml`](../deploy/postrider.toml) has every setting with its default;
`postrider config example` prints it.

- In the environment a setting is `POSTRIDER_` and its path in capitals, with underscores for dots: `targets.allow` is
  `POSTRIDER_TARGETS_ALLOW`.
- A secret may stand in a file of its own: `POSTRIDER_MASTER_KEY_FILE=/run/secrets/master_key`, or `master_key_file` in the
  TOML file. Line ends behind it do not count.
- An unknown or bad setting stops the start with one line that names the setting and, in a file, its line. The variables
  that Kubernetes sets for services (`POSTRIDER_SERVICE_HOST`, `POSTRIDER_PORT=tcp://…` and the like) are ignored.
- A duration is a whole number with a unit: `45s`, `15m`, `12h`, `30d`.
";

const EXAMPLE_HEAD: &str = "# Settings of Postrider. Every one stands here with its default, or with an example where there is none; remove the `#`
# before those that you change. Read with `--config FILE`, or as `postrider.toml` in the working folder.
# Environment variables (POSTRIDER_…) override this file, and flags override both.
# Written by `make generated` from crates/server/src/config/sections/; edit it there.
";

/// Width of comments in the example file.
const WIDTH: usize = 118;

/// `docs/configuration.md`.
pub(crate) fn reference_page() -> String {
    let mut page = PAGE_HEAD.to_owned();
    for section in SECTIONS {
        page.push_str(&section_of_page(section));
    }
    page
}

fn section_of_page(section: &Section) -> String {
    let mut text =
        format!("\n## {}\n\n| setting | what it does | value | default |\n| --- | --- | --- | --- |\n", section.title);
    for setting in section.settings {
        let flag = setting.flag.map_or_else(String::new, |flag| format!(", `{flag}`"));
        let file = setting.file_path().map_or_else(String::new, |path| format!(", `{path}`"));
        let default = setting.default.map_or_else(|| setting.otherwise.to_owned(), |value| format!("`{value}`"));
        let Setting { path, about, form, .. } = setting;
        let _ = writeln!(text, "| `{path}`{file}{flag} | {about} | {form} | {default} |");
    }
    text
}

/// `deploy/postrider.toml`.
pub(crate) fn example_file() -> String {
    let mut file = EXAMPLE_HEAD.to_owned();
    // TOML wants what belongs to no table before all tables.
    for section in SECTIONS {
        let top: Vec<&Setting> = settings_in(section, "").collect();
        if !top.is_empty() {
            let _ = write!(file, "\n# {}\n", section.title);
            top.into_iter().for_each(|setting| file.push_str(&entry(setting)));
        }
    }
    for section in SECTIONS {
        for name in table_names(section) {
            let _ = write!(file, "\n[{name}]\n");
            settings_in(section, name).for_each(|setting| file.push_str(&entry(setting)));
        }
    }
    file
}

fn settings_in<'a>(section: &'a Section, name: &'a str) -> impl Iterator<Item = &'static Setting> + 'a {
    section.settings.iter().copied().filter(move |setting| setting.section() == name)
}

fn table_names(section: &Section) -> Vec<&'static str> {
    let mut names: Vec<&str> = section.settings.iter().map(|setting| setting.section()).collect();
    names.retain(|name| !name.is_empty());
    names.dedup();
    names
}

/// A setting of the example file: what it means, and a line to be uncommented. A secret without a default stands in a
/// file of its own: a key that everybody can read in an example would be one that everybody knows.
fn entry(setting: &Setting) -> String {
    let key = setting.path.rsplit('.').next().unwrap_or(setting.path);
    let key = if setting.is_secret && setting.default.is_none() { format!("{key}_file") } else { key.to_owned() };
    let value = literal(setting.kind, setting.default.unwrap_or(setting.example));
    format!("\n{}{}#{key} = {value}\n", comment(setting.about), comment(&names_of(setting)))
}

/// What a setting is called elsewhere, how its value looks, and what holds without it.
fn names_of(setting: &Setting) -> String {
    let flag = setting.flag.map_or_else(String::new, |flag| format!(" or {flag}"));
    let file = setting
        .file_path()
        .map_or_else(String::new, |path| format!(" ({} and {path}: a file of it)", variable_of(&path)));
    let otherwise = if setting.default.is_none() { format!(" Default: {}.", setting.otherwise) } else { String::new() };
    format!("{}{flag}{file}: {}.{otherwise}", setting.variable(), setting.form)
}

/// A value as the file has it.
fn literal(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Number | Kind::Flag => value.to_owned(),
        Kind::Text => format!("\"{value}\""),
        Kind::List => {
            let items: Vec<String> = value.split(',').map(|item| format!("\"{}\"", item.trim())).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// Text as lines of a comment. Links of Markdown lose their targets.
fn comment(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), "#".to_owned());
    for word in without_links(text).split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(lines, "{line}");
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(lines, "{line}");
    lines
}

/// `[text](target)` as `text`.
fn without_links(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, link)) = rest.split_once('[') {
        let Some((label, behind)) = link.split_once("](") else { break };
        let Some((_, after)) = behind.split_once(')') else { break };
        plain.push_str(before);
        plain.push_str(label);
        rest = after;
    }
    plain + rest
}
