//! Runs the faults and prints what came of them. Run by `make faults`.

use std::process::ExitCode;
use std::time::Instant;

use postrider_tests::faults::{Figure, Load, Plan, Report, SCENARIOS};
use postrider_tests::is_in_a_network_of_its_own;

#[tokio::main]
async fn main() -> ExitCode {
    let mut only: Vec<String> = std::env::args().skip(1).collect();
    let is_light = only.first().is_some_and(|first| first == "--light");
    only.drain(..usize::from(is_light));
    let load = if is_light { Load::Light } else { Load::Full };
    let seed = std::env::var("FAULTS_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed} (FAULTS_SEED={seed} gives the same chance again)\n");
    println!("{HEAD}");
    let begun = Instant::now();
    let mut reports = Vec::new();
    for scenario in
        SCENARIOS.iter().filter(|scenario| only.is_empty() || only.iter().any(|word| scenario.name.contains(word)))
    {
        if scenario.needs_a_network() && !is_in_a_network_of_its_own() {
            println!("left out, as it needs a network of its own (scripts/in-network): {}", scenario.name);
            continue;
        }
        for &store in scenario.stores {
            for _ in 0..scenario.runs {
                let seed = seed.wrapping_add(reports.len() as u64);
                let report = scenario.run(Plan { store, times: scenario.times, load, seed }).await;
                println!("{}", line(&report));
                report.figures.iter().for_each(|figure| println!("    {}", told(figure)));
                report.violations.iter().for_each(|violation| println!("    VIOLATION {violation}"));
                reports.push(report);
            }
        }
    }
    let violations: usize = reports.iter().map(|report| report.violations.len()).sum();
    let (faults, accepted) = reports.iter().fold((0, 0), |(f, a), report| (f + report.faults, a + report.accepted));
    println!(
        "\n{faults} moments of faults, {accepted} events accepted, {violations} violations, {:.0?}",
        begun.elapsed()
    );
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const HEAD: &str = "| fault | database | moments | accepted | delivered | failed | discarded | requests | in flight | without a record | after a success | quiet after |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

fn told(figure: &Figure) -> String {
    format!("{}: {:.1} s (at most {:.0} s)", figure.what, figure.time.as_secs_f64(), figure.limit.as_secs_f64())
}

fn line(report: &Report) -> String {
    let ended =
        |status: &str| report.ended.iter().filter(|(end, _)| end.starts_with(status)).map(|(_, n)| n).sum::<usize>();
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} s |",
        report.scenario,
        report.store,
        report.faults,
        report.accepted,
        ended("delivered"),
        ended("failed"),
        ended("discarded"),
        report.requests,
        report.in_flight,
        report.unrecorded,
        report.after_success,
        report.quiet_after.as_secs_f64(),
    )
}
