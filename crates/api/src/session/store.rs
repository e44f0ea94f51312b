//! Sessions as rows. The store knows a hash of the id only: whoever reads the database is nobody.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use postrider_core::Timestamp;
use postrider_core::api_key::{KeyHash, PlainKey};
use postrider_store::{Accounts, StoreError};
use serde_json::json;
use tower_sessions::cookie::time::PrimitiveDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};
use tower_sessions::{Session, SessionStore};

use super::{KNOWN, Known};
use crate::state::Api;

/// The rows of sessions. When one ends is what it knows itself, by the program's own clock.
#[derive(Clone)]
pub(crate) struct SessionRows(Arc<dyn Accounts>);

impl SessionRows {
    pub(crate) fn new(api: &Api) -> Self {
        Self(Arc::clone(&api.accounts))
    }
}

impl SessionRows {
    /// Keeps what a session knows now. Whoever asked is answered, though it cannot be kept.
    pub(super) async fn keep(&self, session: &Session, known: &Known) {
        let Some(id) = session.id() else { return };
        let data = json!({ KNOWN: known }).to_string();
        let kept = self.0.keep_session(&hash(&id), &data, known.ends_at()).await;
        drop(kept.inspect_err(|error| tracing::warn!(%error, "that somebody was seen is not noted")));
    }
}

impl fmt::Debug for SessionRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionRows")
    }
}

/// What the store knows a session by.
pub(super) fn hash(id: &Id) -> KeyHash {
    PlainKey::given(&id.to_string()).hash()
}

/// Its data as text, and its end.
fn written(record: &Record) -> Result<(String, Timestamp)> {
    let encode = |error: serde_json::Error| Error::Encode(error.to_string());
    let data = serde_json::to_string(&record.data).map_err(encode)?;
    let known: Option<Known> =
        record.data.get(KNOWN).cloned().map(serde_json::from_value).transpose().map_err(encode)?;
    Ok((data, known.map_or(Timestamp::default(), |known| known.ends_at())))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn backend(error: StoreError) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for SessionRows {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let (data, ends_at) = written(record)?;
        while !self.0.begin_session(&hash(&record.id), &data, ends_at).await.map_err(backend)? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let (data, ends_at) = written(record)?;
        // One that was ended meanwhile stays so.
        self.0.keep_session(&hash(&record.id), &data, ends_at).await.map_err(backend)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some(data) = self.0.session(&hash(id)).await.map_err(backend)? else { return Ok(None) };
        let data = serde_json::from_str(&data).map_err(|error| Error::Decode(error.to_string()))?;
        // Whether it has ended was asked of the row.
        Ok(Some(Record { id: *id, data, expiry_date: PrimitiveDateTime::MAX.assume_utc() }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.end_session(&hash(id)).await.map_err(backend)
    }
}
