//! The dispatcher: claim → sign → send → classify → decide → record.
//!
//! The only crate that sends HTTP to customers. It sees the store as a
//! [`Queue`](postrider_store::Queue) and hears of new work through the
//! [`Inbox`](postrider_store::Inbox); each service below is one file, named by its verb.

mod bulk_work;
mod claim;
mod client;
mod deliver;
mod dial;
mod dispatcher;
mod endpoint;
mod fail;
mod fan_out;
mod informational;
mod measure;
mod pace;
mod probe;
mod prune;
mod replay;
mod resolve;
mod roll_up;
mod suspect;
mod tell;
mod timers;
mod traces;
mod transport;
mod watch_backlog;
mod watch_failing;

pub use client::{ClientOptions, GuardedClient, Outgoing};
pub use dispatcher::{Dispatcher, DispatcherOptions};
pub use measure::describe_dispatcher_metrics;
pub use transport::gather_entropy;
