//! What one step counts, and the tallies that it is added to.

use std::collections::BTreeMap;

use postrider_core::failing::StreakChange;
use postrider_core::notice::Notice;
use postrider_core::tally::{Tally, Width, begin_of};
use postrider_core::target::TargetId;
use postrider_core::{SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::sql::dialect::{Cells, Kind, RowSet, Schema};
use crate::sql::query::note_unreadable;
use crate::sql::{Dialect, Query};

/// Tallies of so many minutes are written while others wait for a moment, and more of them for too long.
const WIDE: usize = 250;
const KEY: Schema = &[("tenant_id", Kind::Uuid), ("target_id", Kind::Uuid), ("width", Kind::Int), ("at", Kind::Int)];
const ROLLUP: Schema = &[
    ("tenant_id", Kind::Uuid),
    ("target_id", Kind::Uuid),
    ("width", Kind::Int),
    ("at", Kind::Int),
    ("tally", Kind::Text),
];

/// Whose tally, of how long a time, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    tenant_id: Uuid,
    target_id: Uuid,
    width: i64,
    at: i64,
}

impl Key {
    fn put(self, rows: &mut impl Cells) {
        rows.uuid(Some(self.tenant_id));
        rows.uuid(Some(self.target_id));
        rows.int(Some(self.width));
        rows.int(Some(self.at));
    }
}

/// Whose, of a subscription if it is of one, and in which minute.
type Minute = (TenantId, Option<SubscriptionId>, Timestamp);

/// What one step counts.
#[derive(Default)]
pub(super) struct Counts {
    minutes: BTreeMap<Minute, Tally>,
    pub(super) streaks: BTreeMap<SubscriptionId, (TenantId, StreakChange)>,
    /// What failed, if somebody wants to hear of each.
    pub(super) notices: Vec<Notice>,
    /// Whether there is more to count.
    pub(super) is_full: bool,
}

impl Counts {
    /// The tally of a minute, for whom something is counted there.
    pub(super) fn minute(&mut self, tenant_id: TenantId, target: Option<TargetId>, at: Timestamp) -> &mut Tally {
        let subscription = target.and_then(TargetId::subscription_id);
        self.minutes.entry((tenant_id, subscription, begin_of(at, Width::Minute.seconds()))).or_default()
    }

    /// Whether it is for so many that to write it takes a while.
    pub(super) fn is_wide(&self) -> bool {
        self.minutes.len() >= WIDE
    }

    /// Of subscriptions, of tenants and of all, in minutes and in hours.
    fn tallies(&self) -> BTreeMap<Key, Tally> {
        let mut tallies = BTreeMap::<Key, Tally>::new();
        for ((tenant_id, subscription, minute), tally) in &self.minutes {
            let of_subscription = subscription.map(|id| (tenant_id.uuid(), id.uuid()));
            let whose = [Some((Uuid::nil(), Uuid::nil())), Some((tenant_id.uuid(), Uuid::nil())), of_subscription];
            for (tenant_id, target_id) in whose.into_iter().flatten() {
                for width in Width::ALL.map(Width::seconds) {
                    let at = begin_of(*minute, width).as_micros();
                    tallies.entry(Key { tenant_id, target_id, width, at }).or_default().add(tally);
                }
            }
        }
        tallies
    }
}

/// Adds what was counted to what is kept.
pub(super) async fn add_tallies<DB: Dialect>(db: &mut Connection<DB>, counts: &Counts) -> Result<()> {
    let mut sums = counts.tallies();
    let mut keys = DB::Rows::new(KEY);
    for key in sums.keys() {
        key.put(&mut keys);
        keys.end_row();
    }
    let sql = format!(
        "select s.tenant_id, s.target_id, s.width, s.at, s.tally from {} r join rollups s
             on s.tenant_id = r.tenant_id and s.target_id = r.target_id and s.width = r.width and s.at = r.at",
        DB::Rows::source(KEY, 1)
    );
    for row in Query::<DB>::assembled(sql).bind_rows(keys).rows(db).await? {
        let key = Key { tenant_id: row.get(0)?, target_id: row.get(1)?, width: row.get(2)?, at: row.get(3)? };
        let known = row.parsed(4, "a tally", |text| serde_json::from_str::<Tally>(text).ok());
        // Of one that cannot be read, nothing is known any more.
        if let Some(known) = note_unreadable("rollups", &row, known) {
            sums.entry(key).or_default().add(&known);
        }
    }
    let mut rows = DB::Rows::new(ROLLUP);
    for (key, tally) in &sums {
        key.put(&mut rows);
        rows.text(Some(&serde_json::to_string(tally).map_err(|_| StoreError::Damaged("a tally"))?));
        rows.end_row();
    }
    let sql = format!(
        "insert into rollups (tenant_id, target_id, width, at, tally)
         select tenant_id, target_id, width, at, tally from {} r where true
         on conflict (tenant_id, target_id, width, at) do update set tally = excluded.tally",
        DB::Rows::source(ROLLUP, 1)
    );
    Query::<DB>::assembled(sql).bind_rows(rows).run(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: From<Uuid>>(n: u128) -> T {
        Uuid::from_u128(n).into()
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_micros(minute * 60_000_000 + 1)
    }

    #[test]
    fn what_is_counted_once_is_added_for_everybody_in_minutes_and_hours() {
        let mut counts = Counts::default();
        let (tenant, subscription) = (id(1), TargetId::Subscription(id(2)));
        for minute in [59, 60, 60] {
            counts.minute(tenant, Some(subscription), at(minute)).failed += 1;
        }
        counts.minute(tenant, Some(TargetId::Callback(id(3))), at(60)).failed += 1;
        counts.minute(id(4), None, at(60)).failed += 1;
        let tallies = counts.tallies();
        let failed = |[tenant_id, target_id]: [u128; 2], width: Width| {
            let (tenant_id, target_id, width) = (id(tenant_id), id(target_id), width.seconds());
            let own = tallies
                .iter()
                .filter(|(key, _)| (key.tenant_id, key.target_id, key.width) == (tenant_id, target_id, width));
            own.map(|(key, tally)| (key.at / 60_000_000, tally.failed)).collect::<Vec<_>>()
        };
        assert_eq!(failed([0, 0], Width::Minute), [(59, 1), (60, 4)]);
        assert_eq!(failed([1, 0], Width::Minute), [(59, 1), (60, 3)]);
        assert_eq!(failed([1, 2], Width::Minute), [(59, 1), (60, 2)]);
        assert_eq!(failed([1, 2], Width::Hour), [(0, 1), (60, 2)]);
        assert_eq!(failed([4, 0], Width::Hour), [(60, 1)]);
        assert!(failed([1, 3], Width::Hour).is_empty(), "callbacks have no statistics of their own");
    }

    #[test]
    fn many_for_one_are_not_wide_and_one_each_for_many_are() {
        let mut counts = Counts::default();
        (0..WIDE).for_each(|_| counts.minute(id(1), None, at(0)).failed += 1);
        assert!(!counts.is_wide());
        (0..WIDE).for_each(|n| counts.minute(id(1), Some(TargetId::Subscription(id(n as u128))), at(0)).failed += 1);
        assert!(counts.is_wide());
    }
}
