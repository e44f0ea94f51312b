//! The whole program with places where it ends itself as a crash would: `FAIL_POINT=EventsCommitted:3` aborts it when
//! it has passed that place three times.

use std::process::ExitCode;
use std::sync::Arc;

use postrider_core::World;
use postrider_core::fail_point::{FailPoint, arm};
use postrider_core::world::SystemRandom;
use postrider_server::SystemClock;

fn main() -> ExitCode {
    if let Ok(told) = std::env::var("FAIL_POINT") {
        let (name, times) = told.split_once(':').expect("NAME:TIMES");
        let point = FailPoint::ALL.into_iter().find(|point| format!("{point:?}") == name).expect("a fail point");
        arm(point, times.parse().expect("a number"));
    }
    postrider_server::run_in(World::new(Arc::new(SystemClock::start()), Arc::new(SystemRandom)))
}
