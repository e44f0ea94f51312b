//! The whole program with places where it ends itself as a crash would, and a clock that may be wrong:
//! `FAIL_POINT=EventsCommitted:3` aborts it when it has passed that place three times, `CLOCK_OFFSET=-3600` lets it think that it
//! is an hour ago.

use std::process::ExitCode;
use std::sync::Arc;

use postrider_core::fail_point::{FailPoint, arm};
use postrider_core::world::SystemRandom;
use postrider_core::{Clock, World};
use postrider_server::SystemClock;

fn main() -> ExitCode {
    if let Ok(told) = std::env::var("FAIL_POINT") {
        let (name, times) = told.split_once(':').expect("NAME:TIMES");
        let point = FailPoint::ALL.into_iter().find(|point| format!("{point:?}") == name).expect("a fail point");
        arm(point, times.parse().expect("a number"));
    }
    let clock = SystemClock::start();
    if let Ok(seconds) = std::env::var("CLOCK_OFFSET") {
        let micros = seconds.parse::<i64>().expect("seconds") * 1_000_000;
        clock.follow(clock.now().plus_micros(micros));
    }
    postrider_server::run_in(World::new(Arc::new(clock), Arc::new(SystemRandom)))
}
