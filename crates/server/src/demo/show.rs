//! What the demo prints.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use owo_colors::{OwoColorize, Stream};
use serde_json::Value;

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

/// One request as it came, and whether its signature fits.
pub(super) fn request(seen: &Seen) {
    line(&format!("POST /{} HTTP/1.1", seen.path));
    for (name, value) in &seen.headers {
        let name = postrider_core::headers::title_case(name.as_str());
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        say!("  {}: {value}", name.if_supports_color(Stream::Stdout, |t| t.blue()));
    }
    line("");
    line(&seen.body);
    line("");
    if seen.is_genuine {
        line(&"✔ the receiver verified the signature".if_supports_color(Stream::Stdout, |t| t.green()).to_string());
    } else {
        line(&"✘ the signature does not fit".if_supports_color(Stream::Stdout, |t| t.red()).to_string());
    }
}

/// Every delivery with what became of it.
pub(super) fn deliveries(events: &[Value]) {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["event", "receiver", "status", "attempts"]);
    if std::env::var_os("NO_COLOR").is_some() {
        table.force_no_tty();
    }
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
fn attempts(delivery: &Value) -> String {
    let attempts: Vec<&Value> = delivery["attempts"].as_array().into_iter().flatten().collect();
    let start = |attempt: &Value| attempt["started_at"].as_str().and_then(postrider_core::Timestamp::parse);
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
