//! Connections: pools of them, limits on what they wait for, which server they lead to, and its schema.

mod connection;
pub(crate) mod migrate;
mod pool;
pub(crate) mod pooling;
mod servers;

pub(crate) use connection::Connection;
pub(crate) use migrate::Schema;
pub(crate) use pool::{Pool, PoolOptions};
pub(crate) use servers::{Link, ServerSettings, Servers};
