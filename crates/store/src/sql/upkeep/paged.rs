//! Bulk work in pages: each transaction touches a bounded number of rows, fewer while they take long.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use postrider_core::Timestamp;
use uuid::Uuid;

use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::measure;
use crate::sql::{Dialect, Query, Sql};

/// Most rows of one transaction.
const MOST: usize = 1_000;
/// So many take no longer than a transaction with one: only what does not end at all has fewer.
const FEW: usize = 50;

/// Kinds of bulk work: each has a pace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// What was kept long enough is wiped or deleted.
    Retention,
    /// What is pending to a target is discarded.
    Discard,
    /// What is pending to a webhook goes into the lane of its new URL.
    ChangeOfLane,
    /// Deliveries of events with very many targets are made.
    FanOut,
    /// What happened in a period is sent again.
    Replay,
    /// The sender is told of what the program did.
    Notices,
    /// What was written down is counted.
    Statistics,
    /// What a process that is gone had leased comes free.
    TakeOver,
}

impl Work {
    /// The names of those that pass something over.
    pub(crate) const NAMES: [&str; 5] = ["retention", "discard", "fan_out", "replay", "notices"];

    /// As logs and metrics name it.
    pub(in crate::sql) const fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Discard => "discard",
            Self::ChangeOfLane => "change_of_lane",
            Self::FanOut => "fan_out",
            Self::Replay => "replay",
            Self::Notices => "notices",
            Self::Statistics => "statistics",
            Self::TakeOver => "take_over",
        }
    }
}

/// How long is gone on without what was passed over.
const PASSED_OVER_FOR: Duration = Duration::from_secs(60);
/// Most that is remembered of what was passed over; beyond, it is met again.
const REMEMBERED: usize = 10_000;

/// What was passed over lately.
#[derive(Debug, Default)]
pub(in crate::sql) struct PassedOver(Mutex<HashMap<(Work, Uuid), Timestamp>>);

impl PassedOver {
    fn note(&self, work: Work, id: Uuid, now: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED {
            noted.retain(|_, at| now.since(*at) < PASSED_OVER_FOR);
        }
        if noted.len() < REMEMBERED {
            noted.insert((work, id), now);
        }
    }

    fn has(&self, work: Work, id: Uuid, now: Timestamp) -> bool {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(&(work, id)).is_some_and(|at| now.since(*at) < PASSED_OVER_FOR)
    }
}

/// How many rows a transaction of each kind of work may touch.
#[derive(Debug, Default)]
pub(crate) struct Pages(Mutex<HashMap<Work, usize>>);

impl Pages {
    /// How many rows the next page of this work may touch; one at least.
    pub(crate) fn limit(&self, work: Work) -> usize {
        self.with(work, |limit| *limit)
    }

    /// Fewer rows if a page took longer than it should, more if it took much less.
    pub(crate) fn took(&self, work: Work, time: Duration, target: Duration) {
        self.with(work, |limit| {
            if time > target {
                *limit = (*limit / 2).max(FEW.min(*limit));
            } else if time < target / 4 {
                *limit = (*limit + *limit / 4 + 1).min(MOST);
            }
        });
    }

    /// Many fewer, after a page that did not end. False if there are no fewer.
    pub(crate) fn shrink(&self, work: Work) -> bool {
        self.with(work, |limit| {
            let before = *limit;
            *limit = (before / 4).max(1);
            *limit < before
        })
    }

    fn with<T>(&self, work: Work, change: impl FnOnce(&mut usize) -> T) -> T {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(work).or_insert(MOST))
    }
}

/// The first items that fit into a page of `limit` rows; one at least, if there is any.
pub(in crate::sql) fn fitting<T>(items: &[T], limit: usize, rows: impl Fn(&T) -> usize) -> &[T] {
    let mut total = 0_usize;
    let fits = |item: &&T| {
        total = total.saturating_add(rows(item).max(1));
        total <= limit
    };
    &items[..items.iter().take_while(fits).count().max(1).min(items.len())]
}

/// The transaction of a page.
pub(in crate::sql) struct Page<DB: Dialect> {
    pub(in crate::sql) tx: Connection<DB>,
    work: Work,
    begun: Instant,
}

impl<DB: Dialect> Sql<DB> {
    /// How many rows the next page of this work may touch; one at least.
    pub(in crate::sql) fn page_limit(&self, work: Work) -> usize {
        self.pages.limit(work)
    }

    /// Begins a page.
    pub(in crate::sql) async fn begin_page(&self, work: Work) -> Result<Page<DB>> {
        let tx = self.begin_bulk().await?;
        Ok(Page { tx, work, begun: Instant::now() })
    }

    /// Ends a page: commits what `done` is the outcome of, or rolls it back. `None` if it did not end in time, or met
    /// somebody else's transaction: the next one may touch fewer rows, so that it does.
    ///
    /// # Errors
    /// What went wrong, if fewer rows will not help.
    pub(in crate::sql) async fn end_page<T>(&self, page: Page<DB>, done: Result<T>) -> Result<Option<T>> {
        let Page { tx, work, begun } = page;
        let ended = match done {
            Ok(done) => tx.commit().await.map(|()| done),
            Err(error) => {
                drop(tx);
                Err(error)
            }
        };
        match ended {
            Ok(done) => {
                self.pages.took(work, begun.elapsed(), DB::PAGE_TIME);
                Ok(Some(done))
            }
            Err(error) if error.is_temporary() && self.pages.shrink(work) => {
                tracing::info!(work = work.name(), %error, "a page of bulk work did not end; the next one is smaller");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs a statement that touches at most so many rows, as a page. Whether it may have left some.
    pub(in crate::sql) async fn run_as_page(
        &self,
        work: Work,
        statement: impl FnOnce(i64) -> Query<DB>,
    ) -> Result<bool> {
        let limit = self.page_limit(work);
        let mut page = self.begin_page(work).await?;
        let done = statement(i64::try_from(limit).unwrap_or(i64::MAX)).run(&mut page.tx).await;
        Ok(self.end_page(page, done).await?.is_none_or(|rows| rows > 0))
    }

    /// Notes that bulk work passed something over, so that the rest goes on. For a minute it is gone on without it.
    pub(in crate::sql) fn note_passed_over(
        &self,
        work: Work,
        id: Uuid,
        what: &dyn std::fmt::Display,
        error: &StoreError,
    ) {
        measure::passed_over(work.name());
        tracing::warn!(work = work.name(), %what, %error, "passed over; trying again later");
        self.passed_over.note(work, id, self.world.now());
    }

    /// Whether this was passed over lately.
    pub(in crate::sql) fn is_passed_over(&self, work: Work, id: Uuid) -> bool {
        self.passed_over.has(work, id, self.world.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_fit_and_one_at_least() {
        let fit = |rows: &[usize]| fitting(rows, 10, |rows| *rows).len();
        assert_eq!([fit(&[]), fit(&[3, 3, 3, 3]), fit(&[10, 1]), fit(&[11, 1]), fit(&[0, 0])], [0, 3, 1, 1, 2]);
        assert_eq!(fit(&[0; 20]), 10, "what has no deliveries is a row itself");
    }

    #[test]
    fn pages_shrink_while_they_take_long_and_grow_again() {
        let (pages, target) = (Pages::default(), Duration::from_millis(10));
        assert_eq!(pages.limit(Work::Retention), MOST);
        pages.took(Work::Retention, target * 2, target);
        assert_eq!(pages.limit(Work::Retention), 500);
        pages.took(Work::Retention, target, target);
        assert_eq!(pages.limit(Work::Retention), 500, "it is as it should be");
        for _ in 0..100 {
            pages.took(Work::Retention, target * 2, target);
        }
        assert_eq!(pages.limit(Work::Retention), FEW, "fewer would take as long");
        for _ in 0..100 {
            pages.took(Work::Retention, Duration::ZERO, target);
        }
        assert_eq!(pages.limit(Work::Retention), MOST);
    }

    #[test]
    fn a_page_that_did_not_end_makes_the_next_one_much_smaller() {
        let pages = Pages::default();
        assert!(pages.shrink(Work::Retention));
        assert_eq!(pages.limit(Work::Retention), 250);
        while pages.shrink(Work::Retention) {}
        assert_eq!(pages.limit(Work::Retention), 1, "never nothing");
        pages.took(Work::Retention, Duration::from_secs(1), Duration::from_millis(10));
        assert_eq!(pages.limit(Work::Retention), 1, "and not more while that takes long");
    }
}
