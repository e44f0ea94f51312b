//! A received request, laid out for people and for programs.

use axum::http::HeaderMap;
use owo_colors::{OwoColorize, Stream};
use postrider_core::headers::{HeaderList, title_case};
use postrider_core::inspection::{Finding, Verdict};
use postrider_core::json::{Value, pretty};

/// Headers as they are shown.
pub(crate) fn header_list(headers: &HeaderMap) -> HeaderList {
    headers.iter().map(|(name, value)| (name, value.as_bytes())).collect()
}

/// A stranger's text without what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Prints headers and body; a body of JSON over lines, every value as it came.
pub(crate) fn request(headers: &HeaderMap, body: &[u8]) {
    for (name, value) in headers {
        let name = title_case(name.as_str());
        let value = printable(&String::from_utf8_lossy(value.as_bytes()));
        say!("  {}: {value}", name.if_supports_color(Stream::Stdout, |t| t.blue()));
    }
    let text = String::from_utf8_lossy(body);
    let shown = Value::parse(&text).map_or_else(|_| text.clone().into_owned(), |value| pretty(&value));
    say!("");
    shown.lines().for_each(|line| say!("  {}", printable(line)));
    say!("");
}

/// Prints what a receiver should make of it.
pub(crate) fn finding(profile: Option<&str>, finding: &Finding) {
    let profile = profile.map(|profile| format!(" ({profile})")).unwrap_or_default();
    let verdict = match finding.verdict {
        Verdict::Genuine => "✔ genuine".if_supports_color(Stream::Stdout, |t| t.green()).to_string(),
        Verdict::Unchecked => "? unchecked".if_supports_color(Stream::Stdout, |t| t.yellow()).to_string(),
        Verdict::Refused => "✘ refused".if_supports_color(Stream::Stdout, |t| t.red()).to_string(),
    };
    say!("  {verdict}{profile}: {}", finding.notes.join(" "));
}
