//! The whole program against real receivers.

mod api;
mod e2e;
mod long;
