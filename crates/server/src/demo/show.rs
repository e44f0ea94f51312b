//! What the demo prints.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use owo_colors::{OwoColorize, Stream};
use postrider_core::headers::title_case;
use postrider_core::inspection::Verdict;
use postrider_core::json::{Value, pretty};

use super::receiver::Seen;

/// A step of the story.
pub(super) fn step(text: &str) {
    say!(
        "\n{} {}",
        "▸".if_supports_color(Stream::Stdout, |t| t.cyan()),
        text.if_supports_color(Stream::Stdout, |t| t.bold())
    );
}

/// A line below a step.
pub(super) fn line(text: &str) {
    say!("  {text}");
}

/// A line that explains.
pub(super) fn aside(text: &str) {
    say!("  {}", text.if_supports_color(Stream::Stdout, |t| t.dimmed()));
}

/// The same event in each format: what its document adds to the headers, and the body.
pub(super) fn formats<'s>(requests: impl Iterator<Item = &'s Seen>) {
    let mut table = table(["format", "headers of its own", "body", "verdict"]);
    for seen in requests {
        let verdict = match seen.finding.verdict {
            Verdict::Genuine => Cell::new("✔ genuine").fg(Color::Green),
            Verdict::Unchecked => Cell::new("unsigned").fg(Color::Yellow),
            Verdict::Refused => Cell::new("✘ refused").fg(Color::Red),
        };
        let body = Value::parse(&seen.body).map_or_else(|_| seen.body.clone(), |value| pretty(&value));
        table.add_row(vec![Cell::new(&seen.profile.name), Cell::new(own_headers(seen)), Cell::new(body), verdict]);
    }
    say!("{table}");
}

/// The headers that no other request has.
fn own_headers(seen: &Seen) -> String {
    let common = ["content-type", "user-agent", "accept", "host", "content-length"];
    let own = seen.headers.iter().filter(|(name, _)| !common.contains(&name.as_str()));
    let lines = own.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{}:\n  {value}", title_case(name.as_str()))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    if std::env::var_os("NO_COLOR").is_some() {
        table.force_no_tty();
    }
    table
}

/// Every delivery with what became of it.
pub(super) fn deliveries(events: &[serde_json::Value]) {
    let mut table = table(["event", "receiver", "status", "attempts"]);
    for event in events {
        for delivery in event["deliveries"].as_array().into_iter().flatten() {
            let text = |name: &str| delivery[name].as_str().unwrap_or_default();
            let receiver = text("webhook_url").rsplit('/').next().unwrap_or_default();
            let reason = delivery["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let status = Cell::new(format!("{}{reason}", text("status"))).fg(colour_of(text("status")));
            table.add_row(vec![
                Cell::new(text("event_type")),
                Cell::new(receiver),
                status,
                Cell::new(attempts(delivery)),
            ]);
        }
    }
    say!("{table}");
}

fn colour_of(status: &str) -> Color {
    match status {
        "delivered" => Color::Green,
        "pending" => Color::Yellow,
        _ => Color::Red,
    }
}

/// One line an attempt: when, and what came back.
fn attempts(delivery: &serde_json::Value) -> String {
    let attempts: Vec<&serde_json::Value> = delivery["attempts"].as_array().into_iter().flatten().collect();
    let start = |attempt: &serde_json::Value| attempt["started_at"].as_str().and_then(postrider_core::Timestamp::parse);
    let first = attempts.first().and_then(|attempt| start(attempt)).unwrap_or_default();
    let lines: Vec<String> = attempts
        .iter()
        .map(|attempt| {
            let after = start(attempt).unwrap_or_default().since(first).as_secs_f64();
            format!("+{after:.1} s  {}", attempt["message"].as_str().unwrap_or_default())
        })
        .collect();
    lines.join("\n")
}
