//! The program under faults: publishers and a receiver that journal what they know, something that goes wrong meanwhile,
//! and a check of what must hold when it is quiet again.
//!
//! `scenarios` says what goes wrong; `check` what must hold.

mod check;
mod journal;
mod producer;
mod run;
mod scenarios;
mod sink;
mod stage;

pub use run::{Report, Store};
pub use scenarios::{Plan, SCENARIOS, Scenario};
