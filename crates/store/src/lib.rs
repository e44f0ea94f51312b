//! The store: the only crate that knows SQL.
//!
//! Its interfaces are named by what they are for: the API sees a [`Catalogue`], a [`Journal`], [`Accounts`], [`Replays`] and
//! [`Statistics`], the dispatcher sees a [`Queue`]. One implementation, generic over the database, serves all of them.

mod accounts;
mod cache;
mod catalogue;
mod credentials;
mod db;
mod error;
mod fair_queue;
mod hand_over;
mod health;
mod journal;
mod maintain;
mod measure;
mod node_number;
mod open;
mod profile_book;
mod queue;
mod recent;
mod replays;
mod session;
mod shares;
mod single_flight;
mod sql;
mod statistics;
mod version;

pub use accounts::{Accounts, NewUser};
pub use catalogue::{
    CallbackFilter, Catalogue, ChangeError, NewApiKey, NewCallback, NewSubscription, Rotation, SettingsChange,
    TenantChange, TenantChanged, TimeoutChange, TypeChange,
};
pub use credentials::{CredentialError, Maker};
pub use error::{Result, StoreError};
pub use hand_over::{Claimed, DueLanes, HandOver, Handed, Inbox};
pub use health::Health;
pub use journal::{
    AuditFilter, DeliveryFilter, DeliveryView, EventFilter, EventView, Explained, Journal, PublishError, Receipt,
    ReopenError, Sent, StatusCounts, Urgency,
};
pub use maintain::{MaintainError, backup, move_to_postgres};
pub use measure::describe_store_metrics;
pub use open::{
    DATABASE_URL_FORM, DatabaseUrl, DatabaseUrlError, Durability, OpenError, Purpose, StoreOptions, Stores,
};
pub use queue::{Backlog, LaneDue, Queue, Retention, Settlement};
pub use replays::{ReplayPreview, ReplaySample, Replays};
pub use sql::MovedTable;
pub use statistics::{Node, Statistics, Waiting, Whose};

#[cfg(debug_assertions)]
pub use sql::shared_statements;

/// Files and lines of the statements made since the last time. For tests.
#[cfg(debug_assertions)]
#[must_use]
pub fn statement_places() -> std::collections::BTreeSet<(&'static str, u32)> {
    sql::places::take()
}
