//! The way of events to receivers, and what can happen on it.

mod deliver;
