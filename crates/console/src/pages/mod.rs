//! The pages: a file each.

pub(crate) mod audit;
pub(crate) mod deliveries;
pub(crate) mod delivery;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod filters;
pub(crate) mod formats;
pub(crate) mod keys;
pub(crate) mod replay;
pub(crate) mod replays;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod start;
mod statistics;
pub(crate) mod tenants;
pub(crate) mod tests;
pub(crate) mod users;
pub(crate) mod webhook;
pub(crate) mod webhooks;
