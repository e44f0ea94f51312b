//! The statements that change deliveries on a database that others change too, for tests of their plans.

use sqlx::Postgres;

use super::dialect::Step;
use super::postgres::joined;
use super::{accept, claim_shared, discard, ended, settle};
use crate::session::FREE;

/// Each with what it does.
#[must_use]
pub fn shared_statements() -> Vec<(&'static str, String)> {
    let whole = |steps: Vec<Step>| joined(&steps);
    let mut all = vec![
        ("accepts", whole(accept::steps::<Postgres>())),
        ("outcomes", whole(settle::whole_steps::<Postgres>())),
        ("claims", claim_shared::claim::<Postgres>()),
        ("pending of a target", discard::select_pending::<Postgres>()),
        ("discards", discard::change_locked::<Postgres>("state = 3", 1)),
        ("changes of lane", discard::change_locked::<Postgres>("lane = 1", 1)),
        ("take-over", FREE.to_owned()),
    ];
    all.extend(ended::statements::<Postgres>().into_iter().map(|sql| ("retention", sql)));
    all
}
