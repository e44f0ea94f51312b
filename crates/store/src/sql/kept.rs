//! A connection that is kept from one use to the next: a pool would ask the database each time whether it is well.

use std::time::{Duration, Instant};

use sqlx::Pool;
use sqlx::pool::PoolConnection;

use super::dialect::Dialect;
use crate::error::Result;

/// How long a connection is trusted without asking.
const TRUST: Duration = Duration::from_secs(1);

/// A pool, and the connection of it that was used last.
pub(super) struct Kept<DB: Dialect> {
    pool: Pool<DB>,
    last: Option<(PoolConnection<DB>, Instant)>,
}

impl<DB: Dialect> Kept<DB> {
    pub(super) const fn of(pool: Pool<DB>) -> Self {
        Self { pool, last: None }
    }

    /// The connection of the last use, if that was just now.
    pub(super) async fn take(&mut self) -> Result<PoolConnection<DB>> {
        // An old one goes back before the pool is asked: it may be the only one there is.
        let fresh = self.last.take().filter(|(_, used_at)| used_at.elapsed() < TRUST);
        match fresh {
            Some((connection, _)) => Ok(connection),
            None => Ok(self.pool.acquire().await?),
        }
    }

    /// Keeps a connection that was used just now and is well.
    pub(super) fn keep(&mut self, connection: PoolConnection<DB>) {
        self.last = Some((connection, Instant::now()));
    }
}
