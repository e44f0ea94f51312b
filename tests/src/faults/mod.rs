//! The program under faults: publishers and a receiver that journal what they know, something that goes wrong meanwhile,
//! and a check of what must hold when it is quiet again.
//!
//! `scenarios` says what goes wrong; `check` what must hold.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod check;
mod journal;
mod producer;
mod run;
mod scenarios;
mod sink;
mod stage;

pub use run::{Figure, Report, Store};
pub use scenarios::{Load, Plan, SCENARIOS, Scenario};

/// What others left when they panicked is as good as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
