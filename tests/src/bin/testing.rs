//! The whole program as tests need it; the environment says how.
//!
//! - `TEST_AS=travelling`: under a clock that its standard input sets forward. A line is a number of microseconds, answered
//!   by a line once it is that time.
//! - `TEST_AS=faulty`: under the system's clock, with places where it ends itself as a crash would.
//!   `FAIL_POINT=EventsCommitted:3` aborts it when it has passed that place three times; payloads that say so end it too.

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use postrider_core::world::SystemRandom;
use postrider_core::{Clock, World};
use postrider_server::SystemClock;
use postrider_tests::{TRAVELLED, TravellingClock};

fn main() -> ExitCode {
    let clock: Arc<dyn Clock> = match std::env::var("TEST_AS").as_deref() {
        Ok("travelling") => Arc::new(travelling()),
        Ok("faulty") => {
            arm();
            Arc::new(SystemClock::start())
        }
        _ => panic!("TEST_AS must be travelling or faulty"),
    };
    postrider_server::run_in(World::new(clock, Arc::new(SystemRandom)))
}

/// A clock that standard input sets forward.
fn travelling() -> TravellingClock {
    let clock = TravellingClock::start();
    let traveller = clock.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if let Ok(micros) = line.trim().parse() {
                traveller.travel(Duration::from_micros(micros));
                println!("{TRAVELLED}");
            }
        }
    });
    clock
}

/// Arms payloads, and the fail point that the environment names.
#[cfg(debug_assertions)]
fn arm() {
    use postrider_core::fail_point::{FailPoint, arm, arm_payloads};

    arm_payloads();
    if let Ok(told) = std::env::var("FAIL_POINT") {
        let (name, times) = told.split_once(':').expect("NAME:TIMES");
        let point = FailPoint::ALL.into_iter().find(|point| format!("{point:?}") == name).expect("a fail point");
        arm(point, times.parse().expect("a number"));
    }
}

#[cfg(not(debug_assertions))]
fn arm() {
    panic!("a release build has no fail points");
}
