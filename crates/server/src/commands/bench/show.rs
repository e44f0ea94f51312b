//! What came of it, for people and programs.

use postrider_bench::latency::Summary;
use postrider_bench::load::Sent;
use postrider_bench::sink::Stats;
use serde_json::{Value, json};

/// A rate that was not reached by so much is worth a word.
const MISSED: f64 = 0.95;

#[expect(clippy::cast_precision_loss, reason = "counts of one run")]
pub(super) fn show(sent: &Sent, stats: &Stats, rate: Option<f64>, as_data: bool) {
    let seconds = sent.took.as_secs_f64().max(1e-9);
    let until_last = (stats.last_at.saturating_sub(sent.begun_at) as f64 / 1e9).max(1e-9);
    let lost = sent.accepted.saturating_sub(stats.unique);
    let (accepted, delivered) = (sent.accepted as f64 / seconds, stats.unique as f64 / until_last);
    let accepting = sent.latencies.summary();
    if as_data {
        return say!(
            "{}",
            json!({
                "accepted": sent.accepted, "delivered": stats.unique, "lost": lost, "doubled": stats.doubled,
                "refused": sent.refused, "accepted_per_second": accepted, "delivered_per_second": delivered,
                "publish_latency": of_some(&accepting), "delivery_latency": of_some(&stats.latency),
            })
        );
    }
    say!("Accepted   {} events, {accepted:.0} a second", sent.accepted);
    say!("Delivered  {}, {delivered:.0} a second; lost {lost}, doubled {}", stats.unique, stats.doubled);
    sent.refused.iter().for_each(|(reason, times)| say!("Refused    {times} calls: {reason}"));
    let calls = sent.calls() as f64 / seconds;
    if let Some(rate) = rate.filter(|rate| calls < rate * MISSED) {
        say!("Rate       {calls:.0} calls a second instead of {rate}: more than server or this machine can do");
    }
    say!("                      p50       p90       p99     p99.9       max");
    line("Publish to answer", &accepting);
    line("Publish to arrival", &stats.latency);
}

/// Nothing measured is no zero.
fn of_some(latency: &Summary) -> Value {
    if latency.count == 0 { Value::Null } else { json!(latency) }
}

fn line(what: &str, latency: &Summary) {
    let Summary { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = latency;
    if *count == 0 {
        return say!("{what:18} nothing to measure");
    }
    say!("{what:18} {p50_ms:7.1}ms {p90_ms:7.1}ms {p99_ms:7.1}ms {p999_ms:7.1}ms {max_ms:7.1}ms");
}
