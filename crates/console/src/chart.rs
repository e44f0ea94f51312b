//! Pictures of numbers over time, as SVG: coloured by the style, read aloud by their words.

use maud::{Markup, html};

/// In units of the picture; it is as wide as its place.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
/// Room for the axes.
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 10.0;
/// Labels of the axis of time.
const TIMES: usize = 5;

/// One of the numbers that are shown, with the class that colours it.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: &'a str,
    /// One for each step; `None` where there is none.
    pub(crate) values: Vec<Option<f64>>,
}

/// What is around a picture.
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    /// What the picture says, in words.
    pub(crate) summary: String,
    /// The beginnings of the steps, as the API says them.
    pub(crate) times: &'a [String],
    /// Seconds of each step.
    pub(crate) step: i64,
    /// How the upright axis says a number.
    pub(crate) said: fn(f64) -> String,
}

/// Bars on top of each other, one for each step.
pub(crate) fn bars(frame: &Frame<'_>, rows: &[Row<'_>]) -> Markup {
    let sums = (0..frame.times.len()).map(|n| rows.iter().filter_map(|row| row.values[n]).sum());
    let scale = Scale::of(sums.fold(0.0, f64::max), frame.times.len());
    picture(
        frame,
        rows,
        &scale,
        &html! {
            @for n in 0..frame.times.len() {
                @for (row, below) in stacked(rows, n) {
                    @if let Some(value) = row.values[n].filter(|value| *value > 0.0) {
                        rect class=(row.class) x=(short(scale.x(n))) width=(short(scale.bar())) y=(short(scale.y(below + value))) height=(short(scale.y(below) - scale.y(below + value))) {}
                    }
                }
            }
        },
    )
}

/// The rows of a step, each with what is below it.
fn stacked<'a>(rows: &'a [Row<'a>], n: usize) -> Vec<(&'a Row<'a>, f64)> {
    let mut below = 0.0;
    let mut place = |row: &'a Row<'a>| {
        let here = below;
        below += row.values[n].unwrap_or(0.0);
        (row, here)
    };
    rows.iter().map(&mut place).collect()
}

/// Lines, broken where there is no number.
pub(crate) fn lines(frame: &Frame<'_>, rows: &[Row<'_>]) -> Markup {
    let all = rows.iter().flat_map(|row| row.values.iter().flatten().copied());
    let scale = Scale::of(all.fold(0.0, f64::max), frame.times.len());
    picture(
        frame,
        rows,
        &scale,
        &html! {
            @for row in rows { path class=(row.class) d=(line(&scale, &row.values)) {} }
        },
    )
}

fn line(scale: &Scale, values: &[Option<f64>]) -> String {
    let mut path = String::new();
    for (n, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let is_joined = n > 0 && values[n - 1].is_some();
        let (x, y) = (scale.x(n) + scale.bar() / 2.0, scale.y(*value));
        // One without neighbours is a dot: a line of no length with round ends.
        let stroke =
            if is_joined { format!("L{} {}", short(x), short(y)) } else { format!("M{} {}h0", short(x), short(y)) };
        path.push_str(&stroke);
    }
    path
}

fn picture(frame: &Frame<'_>, rows: &[Row<'_>], scale: &Scale, drawn: &Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { (frame.title)
                span.legend { @for row in rows { span class={ "key " (row.class) } { (row.name) } } }
            }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (frame.title) ": " (frame.summary) } preserveAspectRatio="xMidYMid meet" {
                @for mark in scale.marks() {
                    line.grid x1=(LEFT) x2=(WIDTH) y1=(short(scale.y(mark))) y2=(short(scale.y(mark))) {}
                    text.axis x=(LEFT - 6.0) y=(short(scale.y(mark) + 4.0)) text-anchor="end" { ((frame.said)(mark)) }
                }
                @for n in spread(frame.times.len()) {
                    text.axis x=(short(scale.x(n))) y=(HEIGHT - 5.0) { (clock(&frame.times[n], frame.step)) }
                }
                (drawn)
            }
        }
    }
}

/// Steps whose times are told, far enough from each other.
fn spread(steps: usize) -> impl Iterator<Item = usize> {
    let every = steps.div_ceil(TIMES).max(1);
    (0..steps).step_by(every)
}

/// A time as short as its steps allow.
fn clock(at: &str, step: i64) -> String {
    let part = |range: std::ops::Range<usize>| at.get(range).unwrap_or_default();
    if step < 3_600 {
        part(11..16).to_owned()
    } else if step < 86_400 {
        format!("{} {}", part(5..10), part(11..16))
    } else {
        part(5..10).to_owned()
    }
}

/// Where numbers are in the picture.
struct Scale {
    /// The topmost mark.
    most: f64,
    step: f64,
    count: f64,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "a number of steps")]
    fn of(most: f64, steps: usize) -> Self {
        let most = most.max(1.0);
        let step = round_step(most / 4.0);
        let most = (most / step).ceil() * step;
        Self { most, step, count: steps.max(1) as f64 }
    }

    fn marks(&self) -> Vec<f64> {
        let mut marks = vec![0.0];
        while let Some(next) = marks.last().map(|last| last + self.step).filter(|next| *next <= self.most * 1.001) {
            marks.push(next);
        }
        marks
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of steps")]
    fn x(&self, n: usize) -> f64 {
        LEFT + (WIDTH - LEFT) * n as f64 / self.count
    }

    fn bar(&self) -> f64 {
        (WIDTH - LEFT) / self.count * 0.85
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / self.most)
    }
}

/// The next of 1, 2, 5, 10, 20 … that is not smaller.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|round| *round >= step * 0.999).unwrap_or(step)
}

/// To the tenth of a unit: pages stay small.
fn short(place: f64) -> String {
    format!("{:.1}", place.max(0.0))
}

/// A number as axes say it.
pub(crate) fn number(value: f64) -> String {
    match value {
        _ if value >= 10_000.0 => format!("{:.0}k", value / 1_000.0),
        _ if value >= 1_000.0 => format!("{:.1}k", value / 1_000.0),
        _ if value >= 10.0 || value.fract().abs() < 0.001 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, &[0.0, 0.5, 1.0])]
    #[case(3.0, &[0.0, 1.0, 2.0, 3.0])]
    #[case(7.0, &[0.0, 2.0, 4.0, 6.0, 8.0])]
    #[case(430.0, &[0.0, 200.0, 400.0, 600.0])]
    fn marks_are_round_and_few(#[case] most: f64, #[case] marks: &[f64]) {
        assert_eq!(Scale::of(most, 60).marks(), marks);
    }

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!([0.0, 0.5, 12.0, 1_500.0, 20_000.0].map(number), ["0", "0.5", "12", "1.5k", "20k"]);
        let at = "2026-01-19T10:30:00.000000+00:00";
        assert_eq!([60, 3_600, 86_400].map(|step| clock(at, step)), ["10:30", "01-19 10:30", "01-19"]);
        assert_eq!(clock("é", 60), "");
        assert_eq!(spread(60).collect::<Vec<_>>(), [0, 12, 24, 36, 48]);
        assert_eq!(spread(0).count(), 0);
    }

    #[test]
    fn a_line_is_broken_where_there_is_nothing() {
        let path = line(&Scale::of(1.0, 4), &[Some(1.0), Some(1.0), None, Some(0.0)]);
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
    }

    #[test]
    fn bars_stand_on_each_other() {
        let row = |value| Row { name: "n", class: "c", values: vec![Some(value)] };
        let rows = [row(2.0), row(3.0)];
        assert_eq!(stacked(&rows, 0).iter().map(|(_, below)| *below).collect::<Vec<_>>(), [0.0, 2.0]);
    }
}
