//! Which process of those on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A process that nobody watches: what it claims comes free only when the lease ends.
const UNWATCHED: i64 = -1;

/// That of number 0; those of others are below.
const FIRST_BESIDE_WRITERS: i64 = UNWATCHED - 2;

/// The number of this process. The rows that it claims bear it, and its statistics. Numbers are
/// small and used again, so that statistics stay few. It changes if the process loses its session
/// with the database.
#[derive(Clone, Debug)]
pub(crate) struct NodeNumber(Arc<AtomicI64>);

impl NodeNumber {
    /// The number of the one process that serves an embedded database.
    pub(crate) fn only() -> Self {
        Self(Arc::new(AtomicI64::new(0)))
    }

    /// That of a process that has not got one yet, or will not.
    pub(crate) fn unwatched() -> Self {
        Self(Arc::new(AtomicI64::new(UNWATCHED)))
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    /// The row of statistics of this process for what it counts beside its writers: no process has it as its number, whether
    /// it has one itself or not.
    pub(crate) fn beside_writers(&self) -> i64 {
        FIRST_BESIDE_WRITERS - self.get()
    }

    pub(crate) fn set(&self, number: i64) {
        self.0.store(number, Ordering::Release);
    }

    pub(crate) fn lose(&self) {
        self.set(UNWATCHED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_beside_writers_is_in_nobodys_way() {
        let numbers = [UNWATCHED, 0, 1, 999].map(|number| {
            let node = NodeNumber::unwatched();
            node.set(number);
            node
        });
        let mut all: Vec<i64> = numbers.iter().flat_map(|node| [node.get(), node.beside_writers()]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2 * numbers.len());
    }
}
