//! Figures beside their targets.

use std::collections::BTreeMap;

use comfy_table::{Cell, Table, presets};
use serde::Serialize;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) at_least: f64,
    pub(crate) aim: f64,
}

const fn higher(name: &'static str, at_least: f64, aim: f64) -> Target {
    Target { name, unit: "× ceiling", better: Better::Higher, at_least, aim }
}

const fn lower(name: &'static str, unit: &'static str, at_least: f64, aim: f64) -> Target {
    Target { name, unit, better: Better::Lower, at_least, aim }
}

pub(crate) const SQLITE: Target = higher("SQLite: events one by one", 0.22, 0.36);
pub(crate) const POSTGRES: Target = higher("PostgreSQL: events one by one", 0.15, 0.25);
pub(crate) const BATCH: Target = higher("SQLite: batches of 100", 0.35, 0.55);
pub(crate) const FAN_OUT: Target = higher("SQLite: one event to 10 subscriptions", 0.45, 0.70);
pub(crate) const CPU: Target = lower("CPU for each delivered event", "× bare client", 4.0, 2.5);
pub(crate) const P50_400: Target = lower("publish to arrival at 400/s: p50", "ms", 1.2, 0.6);
pub(crate) const P99_400: Target = lower("publish to arrival at 400/s: p99", "ms", 5.0, 2.0);
pub(crate) const P50_THIRD: Target = lower("publish to arrival at 30 % of the maximum: p50", "ms", 3.0, 1.0);
pub(crate) const P99_THIRD: Target = lower("publish to arrival at 30 % of the maximum: p99", "ms", 15.0, 4.0);
pub(crate) const HANGING: Target =
    lower("others' p99 with 10 % of the events to hanging endpoints", "× without", 1.5, 1.1);
pub(crate) const BURST: Target =
    lower("others' p99 while a tenant bursts 100,000 events at a slow endpoint", "× without", 1.5, 1.1);
pub(crate) const RETENTION: Target = lower("others' p99 while retention takes wide events", "× without", 1.5, 1.1);
pub(crate) const DISCARD: Target =
    lower("PostgreSQL: others' p99 while a webhook with 40,000 pending is deactivated", "× without", 1.5, 1.1);
pub(crate) const HOSTILE: Target =
    lower("others' p99 beside 100 hostile endpoints, the worst kind", "× before", 1.2, 1.0);
pub(crate) const SUBSCRIPTIONS: Target = lower("cost with 10,000 subscriptions", "× with one", 1.3, 1.1);
pub(crate) const PENDING: Target = lower("cost with 1,000,000 pending to dead endpoints", "× with none", 1.3, 1.1);
pub(crate) const FINISHED: Target = lower("cost with 10,000,000 finished deliveries", "× with none", 1.3, 1.1);
pub(crate) const REST: Target = lower("memory at rest", "MB", 30.0, 15.0);
pub(crate) const SPEED: Target = lower("memory at full speed", "MB", 120.0, 80.0);
pub(crate) const PENDING_MEMORY: Target = lower("memory with 1,000,000 pending", "MB", 200.0, 120.0);
pub(crate) const START: Target = lower("start to ready", "ms", 50.0, 25.0);
pub(crate) const START_FULL: Target = lower("start to ready with 10,000,000 deliveries", "ms", 500.0, 100.0);
pub(crate) const NODES: Target = Target { unit: "× one", ..higher("two nodes on one PostgreSQL", 1.8, 1.95) };
pub(crate) const BINARY: Target = lower("release binary", "MB", 30.0, 20.0);

const ALL: [Target; 24] = [
    SQLITE,
    POSTGRES,
    BATCH,
    FAN_OUT,
    CPU,
    P50_400,
    P99_400,
    P50_THIRD,
    P99_THIRD,
    HANGING,
    BURST,
    RETENTION,
    DISCARD,
    HOSTILE,
    SUBSCRIPTIONS,
    PENDING,
    FINISHED,
    REST,
    SPEED,
    PENDING_MEMORY,
    START,
    START_FULL,
    NODES,
    BINARY,
];

/// What was measured, by name; and what went wrong.
#[derive(Default)]
pub(crate) struct Figures {
    measured: BTreeMap<&'static str, Vec<f64>>,
    /// Absolute numbers, for those who want to know.
    plain: BTreeMap<String, Vec<f64>>,
    /// Lost, doubled, refused: none, or the figures say nothing.
    pub(crate) faults: Vec<String>,
}

/// One line of the table.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    target: Target,
    median: f64,
    lowest: f64,
    highest: f64,
    runs: usize,
    reached: &'static str,
}

impl Figures {
    pub(crate) fn add(&mut self, target: Target, value: f64) {
        self.measured.entry(target.name).or_default().push(value);
    }

    pub(crate) fn note(&mut self, name: impl Into<String>, value: f64) {
        self.plain.entry(name.into()).or_default().push(value);
    }

    fn lines(&self) -> Vec<Line> {
        let line = |target: Target| {
            let values = self.measured.get(target.name)?;
            let middle = median(values);
            let reaches = |wanted: f64| match target.better {
                Better::Higher => middle >= wanted,
                Better::Lower => middle <= wanted,
            };
            let reached = match (reaches(target.aim), reaches(target.at_least)) {
                (true, _) => "aim",
                (_, true) => "yes",
                _ => "no",
            };
            let (lowest, highest) =
                (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(f64::MIN, f64::max));
            Some(Line { target, median: middle, lowest, highest, runs: values.len(), reached })
        };
        ALL.into_iter().filter_map(line).collect()
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["figure", "median", "spread", "unit", "at least", "aim", "reached"]);
        for line in self.lines() {
            let Line { target, median, lowest, highest, reached, .. } = line;
            let spread = format!("{}–{}", shown(lowest), shown(highest));
            let cells = [target.name.to_owned(), shown(median), spread, target.unit.to_owned()];
            let wanted = [shown(target.at_least), shown(target.aim), reached.to_owned()];
            table.add_row(cells.into_iter().chain(wanted).map(Cell::new));
        }
        let plain = self.plain.iter().map(|(name, values)| format!("{name}: {}", shown(median(values))));
        let faults = if self.faults.is_empty() { "none".to_owned() } else { self.faults.join("; ") };
        format!("{table}\n\n{}\nlost, doubled, refused: {faults}\n", plain.collect::<Vec<_>>().join("\n"))
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({"figures": self.lines(), "plain": self.plain, "faults": self.faults})
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle =
        [sorted.len().saturating_sub(1) / 2, sorted.len() / 2].map(|at| sorted.get(at).copied().unwrap_or(0.0));
    middle[0].midpoint(middle[1])
}

/// Three significant digits.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
