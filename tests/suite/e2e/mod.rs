//! The way of events to receivers, and what can happen on it.

mod answers;
mod bench;
mod command_line;
mod console;
mod crash;
pub(crate) mod deliver;
mod deploy;
mod durable;
pub(crate) mod faults;
mod guard;
pub(crate) mod hostile;
mod lanes;
mod leaks;
mod maintain;
mod metrics;
mod namespace;
pub(crate) mod nodes;
pub(crate) mod openapi;
pub(crate) mod passwords;
mod published;
pub(crate) mod real_time;
mod receiving;
mod stop;
mod traces;
pub(crate) mod trouble;
mod verifiers;
mod wall_clock;
