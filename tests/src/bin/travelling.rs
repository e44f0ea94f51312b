//! The whole program, under a clock that its standard input sets forward: a line is a number of
//! microseconds, answered by a line once it is that time.

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_core::world::SystemRandom;
use postrider_tests::{TRAVELLED, TravellingClock};

fn main() -> ExitCode {
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
    postrider_server::run_in(World::new(Arc::new(clock), Arc::new(SystemRandom)))
}
