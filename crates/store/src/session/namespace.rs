//! What installations in schemas of one database must not share: names that hold in all of it.

use sha2::{Digest, Sha256};
use sqlx::postgres::PgListener;

use crate::error::{Result, StoreError};

/// The names of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Namespace {
    /// Where wake-ups go.
    pub(super) channel: String,
    /// The first half of the keys of advisory locks; a node's number is the other.
    pub(super) locks: i32,
}

impl Namespace {
    /// That of the schema whose tables a connection finds.
    pub(super) async fn of(listener: &mut PgListener) -> Result<Self> {
        let schema: Option<String> = sqlx::query_scalar("select current_schema()::text").fetch_one(listener).await?;
        let schema = schema.ok_or_else(|| StoreError::Unusable("no schema of `search_path` exists".to_owned()))?;
        Ok(Self::of_schema(&schema))
    }

    /// What `pg_locks` calls the first half: it is unsigned there.
    pub(super) fn lock_class(&self) -> i64 {
        self.locks.cast_unsigned().into()
    }

    fn of_schema(schema: &str) -> Self {
        let digest = Sha256::digest(format!("postrider nodes of {schema}"));
        let locks = i32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        Self { channel: format!("postrider_{:08x}", locks.cast_unsigned()), locks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_schemas_share_nothing() {
        let (one, other) = (Namespace::of_schema("public"), Namespace::of_schema("other"));
        assert!(one.channel != other.channel && one.locks != other.locks, "{one:?} {other:?}");
    }
}
