//! Rates and latencies over time, as several pages show them.

use maud::{Markup, html};

use crate::chart::{Frame, Row, bars, lines, number};
use crate::fault::Fault;
use crate::model::{Counts, Point, Statistics};
use crate::show::{millis, share};
use crate::visit::Visit;

/// What can be looked at: its name, how long it is and its steps, in seconds.
const RANGES: [(&str, i64, i64); 4] =
    [("hour", 3_600, 60), ("day", 86_400, 900), ("week", 7 * 86_400, 7_200), ("month", 30 * 86_400, 28_800)];

/// A period that was chosen.
pub(super) struct Range {
    name: &'static str,
    seconds: i64,
    step: i64,
}

impl Range {
    pub(super) fn of(visit: &Visit) -> Self {
        let chosen = visit.parameter("range").unwrap_or_default();
        let found = RANGES.into_iter().find(|(name, ..)| *name == chosen);
        let (name, seconds, step) = found.unwrap_or(RANGES[0]);
        Self { name, seconds, step }
    }

    /// Asks for the statistics of the period, up to now.
    pub(super) async fn ask(&self, visit: &Visit, path: &str, webhook_id: Option<&str>) -> Result<Statistics, Fault> {
        visit.get(&format!("{path}?{}", self.query(visit, webhook_id))).await
    }

    fn query(&self, visit: &Visit, webhook_id: Option<&str>) -> String {
        let since = visit.now().plus_micros(-self.seconds * 1_000_000).to_string();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("since", &since).append_pair("step", &self.step.to_string());
        query.extend_pairs(webhook_id.map(|id| ("webhook_id", id))).finish()
    }

    /// Links to the others.
    fn choice(&self, path: &str) -> Markup {
        html! {
            nav.ranges aria-label="Period" { "The last "
                @for (name, ..) in RANGES { a href={ (path) "?range=" (name) } aria-current=[(name == self.name).then_some("true")] { (name) } " " }
            }
        }
    }
}

/// The period in figures.
pub(super) fn figures(stats: &Statistics) -> Markup {
    let Counts { events, attempts, delivered, failed, latency_ms, .. } = &stats.total;
    let minutes = stats.minutes();
    let time = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), millis);
    html! {
        dl.figures {
            @if stats.webhook_id.is_none() { div { dt { "Events" } dd { (rate(*events, minutes)) } dd.hint { (events) " in all" } } }
            div { dt { "Delivered" } dd { (rate(*delivered, minutes)) } dd.hint { (delivered) " in all, " (failed) " failed for good" } }
            div { dt { "Attempts that succeed" } dd { (share(*delivered, *attempts)) } dd.hint { (attempts) " attempts" } }
            div { dt { "From publish to delivery" } dd { (time(latency_ms.p50)) } dd.hint { "95 %: " (time(latency_ms.p95)) ", 99 %: " (time(latency_ms.p99)) } }
            div { dt { "Waiting" } dd { @if !stats.queue.pending_is_exact { "≥ " } (stats.queue.pending) }
                dd.hint { @if stats.queue.oldest_age_seconds > 0.0 { "the oldest due for " (millis(stats.queue.oldest_age_seconds * 1000.0)) } @else { "nothing is late" } } }
        }
    }
}

/// A number of milliseconds as an axis says it.
fn time(millis: f64) -> String {
    if millis >= 1_000.0 { format!("{} s", number(millis / 1_000.0)) } else { format!("{} ms", number(millis)) }
}

/// So many in so many minutes.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn rate(count: i64, minutes: f64) -> String {
    let rate = count as f64 / minutes.max(1.0);
    if rate >= 10.0 || count == 0 { format!("{rate:.0} / min") } else { format!("{rate:.2} / min") }
}

/// The period in pictures.
pub(super) fn charts(stats: &Statistics, range: &Range, path: &str) -> Markup {
    let times: Vec<String> = stats.series.iter().map(|point| point.at.clone()).collect();
    let total = &stats.total;
    let frame = |title, summary, said| Frame { title, summary, times: &times, step: stats.step, said };
    #[expect(clippy::cast_precision_loss, reason = "for a picture")]
    let numbers = |of: fn(&Counts) -> i64| stats.series.iter().map(|point| Some(of(&point.counts) as f64)).collect();
    let latency = |of: fn(&Point) -> Option<f64>| stats.series.iter().map(of).collect();
    let attempts = [
        Row { name: "delivered", class: "well", values: numbers(|counts| counts.delivered) },
        Row { name: "failed attempts", class: "ill", values: numbers(|counts| counts.attempts - counts.delivered) },
    ];
    let latencies = [
        Row { name: "50 %", class: "first", values: latency(|point| point.counts.latency_ms.p50) },
        Row { name: "95 %", class: "second", values: latency(|point| point.counts.latency_ms.p95) },
        Row { name: "99 %", class: "third", values: latency(|point| point.counts.latency_ms.p99) },
    ];
    let said = format!("{} delivered, {} attempts failed", total.delivered, total.attempts - total.delivered);
    let times_said = total
        .latency_ms
        .p50
        .map_or_else(|| "nothing was delivered".to_owned(), |p50| format!("half within {}", millis(p50)));
    html! {
        (range.choice(path))
        div.charts {
            (bars(&frame("Attempts", said, number), &attempts))
            (lines(&frame("From publish to delivery", times_said, time), &latencies))
        }
    }
}
