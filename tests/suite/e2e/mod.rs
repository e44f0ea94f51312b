//! The way of events to receivers, and what can happen on it.

pub(crate) mod deliver;
