//! Small things that many pages show.

use maud::{Markup, html};
use postrider_core::json;
use serde_json::Value;

use crate::fault::Told;
use crate::model::Delivery;
use crate::visit::Visit;

/// A time, to the second; the script says it in the browser's own zone.
pub(crate) fn time(at: &str) -> Markup {
    let (day, rest) = at.split_at_checked(10).unwrap_or((at, ""));
    let clock = rest.get(1..9).unwrap_or_default();
    html! { time datetime=(at) title=(at) { (day) " " (clock) " UTC" } }
}

/// A time that may never have been.
pub(crate) fn maybe_time(at: Option<&str>) -> Markup {
    at.map_or_else(|| html! { "never" }, time)
}

/// How a delivery stands, in a word and a colour.
pub(crate) fn status(status: &str) -> Markup {
    html! { span class={ "badge " (status) } { (status) } }
}

/// A number of milliseconds as people say it.
pub(crate) fn millis(millis: f64) -> String {
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else if millis < 10_000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.1} s", millis / 1000.0)
    }
}

/// How many of so many succeeded, in per cent; a dash for none.
pub(crate) fn share(successful: i64, total: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "per cent")]
    if total == 0 { "–".to_owned() } else { format!("{:.1} %", successful as f64 * 100.0 / total as f64) }
}

/// JSON with a line for each member, and every number as it came.
pub(crate) fn pretty(text: &str) -> String {
    json::Value::parse(text).map_or_else(|_| text.to_owned(), |value| json::pretty(&value))
}

/// JSON for people.
pub(crate) fn json(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (pretty(text)) } } }
}

/// A text that is copied by a button.
pub(crate) fn copyable(text: &str, what: &str) -> Markup {
    html! {
        span.copyable {
            code { (text) }
            button.copy type="button" data-copy=(text) aria-label={ "Copy " (what) } hidden { "Copy" }
        }
    }
}

/// What was wrong with a form, above it.
pub(crate) fn wrong(told: Option<&Told>) -> Markup {
    let Some(told) = told else { return html! {} };
    html! {
        div.wrong role="alert" {
            p { strong { (told.title) } " " (told.detail) }
            (wrong_fields(told))
        }
    }
}

/// Each wrong field and what to do.
pub(crate) fn wrong_fields(told: &Told) -> Markup {
    html! {
        @if !told.errors.is_empty() {
            ul { @for error in &told.errors { li { code { (error.field) } " " (error.message) } } }
        }
    }
}

/// Deliveries as a table.
pub(crate) fn deliveries(visit: &Visit, deliveries: &[Delivery]) -> Markup {
    html! {
        @if deliveries.is_empty() { p.empty { "There are none." } } @else {
            div.scroll { table {
                thead { tr { th { "Status" } th { "Event type" } th { "To" } th { "Created" } th { "Reason, or next try" } th { "" } } }
                tbody { @for delivery in deliveries { tr {
                    td { (status(&delivery.status)) }
                    td { (delivery.event_type) }
                    td.url { (delivery.webhook_url) }
                    td { (time(&delivery.created_at)) }
                    td { (reason(delivery)) }
                    td { a href=(visit.link(&format!("/deliveries/{}", delivery.id))) { "Details" span.hidden { " of " (delivery.id) } } }
                } } }
            } }
        }
    }
}

/// Why a delivery is where it is.
pub(crate) fn reason(delivery: &Delivery) -> Markup {
    html! {
        @if let Some(reason) = &delivery.reason { (reason) }
        @else if let Some(next) = &delivery.next_attempt_at { "next try " (time(next)) }
    }
}

/// Headers, as pairs in a list or an object.
pub(crate) fn headers(headers: &Value) -> Markup {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs: Vec<(String, String)> = match headers {
        Value::Array(pairs) => pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        _ => Vec::new(),
    };
    html! {
        @if pairs.is_empty() { p.empty { "None." } } @else {
            dl.headers { @for (name, value) in &pairs { dt { (name) } dd { (value) } } }
        }
    }
}

/// A list that is searched in parts, and has nothing of what is searched for in the first.
pub(crate) fn none_so_far() -> Markup {
    html! { p.empty { "There are none among the newest. Look on among the older ones, or give a time." } }
}

/// A link to the next page of a list, which keeps what was searched for.
pub(crate) fn more(path: &str, query: &str, cursor: Option<&str>) -> Markup {
    let Some(cursor) = cursor else { return html! {} };
    let cursor = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect::<String>();
    let and = if query.is_empty() { "" } else { "&" };
    html! { p.more { a href={ (path) "?" (query) (and) "cursor=" (cursor) } { "Older ones" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short() {
        let shown = time("2026-01-19T10:30:00.123456+00:00").into_string();
        assert!(shown.contains(">2026-01-19 10:30:00 UTC<"), "{shown}");
        assert_eq!(time("é").into_string(), r#"<time datetime="é" title="é">é  UTC</time>"#);
        assert_eq!([millis(0.25), millis(123.4), millis(15_000.0)], ["0.2 ms", "123 ms", "15.0 s"]);
        assert_eq!([share(0, 0), share(1, 3), share(5, 5)], ["–", "33.3 %", "100.0 %"]);
    }
}
