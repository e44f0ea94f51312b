//! A row that was claimed, as the database gave it back.

use postrider_core::lanes::LaneId;
use postrider_core::target::TargetId;
use postrider_core::{DeliveryId, EventId, TenantId, Timestamp};

use super::{Dialect, Row};
use crate::error::Result;

/// What is asked of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClaimWish {
    pub(super) lane: LaneId,
    /// Most rows.
    pub(super) limit: usize,
}

/// What is read of a claimed row, in this order.
pub(super) const COLUMNS: &str = "tenant_id, id, event_id, target_kind, target_id, profile, claim, strikes, marks,
     tries, attempts, opened_at, lease_until, opened_version";

/// A claimed delivery without its event.
#[derive(Clone, Debug)]
pub(super) struct ClaimedRow {
    pub(super) tenant_id: TenantId,
    pub(super) id: DeliveryId,
    pub(super) event_id: EventId,
    /// None if this version of the program does not know its kind.
    pub(super) target: Option<TargetId>,
    pub(super) profile: i64,
    pub(super) claim: i64,
    pub(super) strikes: i64,
    pub(super) marks: i64,
    pub(super) tries: i64,
    pub(super) attempts: i64,
    pub(super) opened_at: Timestamp,
    pub(super) lease_until: Timestamp,
    pub(super) opened_version: Option<i64>,
}

impl ClaimedRow {
    pub(super) fn read<DB: Dialect>(row: &Row<DB>) -> Result<Self> {
        Ok(Self {
            tenant_id: row.id(0)?,
            id: row.id(1)?,
            event_id: row.id(2)?,
            target: TargetId::from_stored(row.get(3)?, row.get(4)?),
            profile: row.get(5)?,
            claim: row.get(6)?,
            strikes: row.get(7)?,
            marks: row.get(8)?,
            tries: row.get(9)?,
            attempts: row.get(10)?,
            opened_at: row.time(11)?,
            lease_until: row.time(12)?,
            opened_version: row.get(13)?,
        })
    }
}
