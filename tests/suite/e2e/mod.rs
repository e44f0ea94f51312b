//! The way of events to receivers, and what can happen on it.

mod answers;
mod bench;
mod command_line;
mod console;
mod crash;
pub(crate) mod deliver;
mod deploy;
mod durable;
mod faults;
mod guard;
mod hostile;
mod lanes;
mod leaks;
mod maintain;
mod metrics;
mod namespace;
mod nodes;
mod openapi;
mod published;
mod real_time;
mod receiving;
mod stop;
mod traces;
mod trouble;
mod verifiers;
mod wall_clock;
