//! The PostgreSQL servers that a URL names, and which of them can be written to.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{Result, StoreError};
use crate::open::{Durability, PostgresUrl};

/// How long a server may take to let somebody in, with the handshakes.
const CONNECT: Duration = Duration::from_secs(2);

/// The oldest server that has everything the statements use.
const OLDEST: i64 = 130_000;
/// The oldest server that looks by itself whether a client is still there while it works for it.
const OLDEST_THAT_CHECKS: u32 = 140_000;

/// Settings of a connection: names and values. They are set once it is open, as poolers refuse them before.
pub(crate) type ServerSettings = &'static [(&'static str, &'static str)];

/// Where connections are opened from, and their settings.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) servers: Arc<Servers>,
    /// Beside those of the URL. The last of a name holds.
    pub(crate) settings: Vec<ServerSettings>,
}

/// The servers of one database, one of which can be written to at a time.
#[derive(Debug)]
pub(crate) struct Servers {
    hosts: Vec<PgConnectOptions>,
    settings: Vec<(String, String)>,
    durability: Durability,
    /// The one to ask first.
    next: AtomicUsize,
    /// Goes up when writes go to another server: what was opened before leads to one of the past.
    epoch: watch::Sender<u64>,
    /// When the server that was written to last had started: no two are the same to the microsecond.
    started_at: Mutex<Option<i64>>,
}

impl Servers {
    pub(crate) fn new(url: PostgresUrl, durability: Durability) -> Self {
        let PostgresUrl { hosts, settings } = url;
        // Not needed, and poolers refuse it.
        let hosts = hosts.into_iter().map(|host| host.application_name("postrider").extra_float_digits(None)).collect();
        let (next, epoch, started_at) = (AtomicUsize::new(0), watch::Sender::new(0), Mutex::new(None));
        Self { hosts, settings, durability, next, epoch, started_at }
    }

    /// Opens a connection to the server that can be written to, and the epoch that it is of.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if a server answers that must not be used, [`StoreError::Unavailable`] if none can be written
    /// to; takes up to 2 s for each that does not answer.
    pub(crate) async fn open(&self, settings: &[ServerSettings]) -> Result<(PgConnection, u64)> {
        let (_, connection, epoch) = self.find(settings).await?;
        Ok((connection, epoch))
    }

    /// How to connect to the server that can be written to.
    ///
    /// # Errors
    /// The same.
    pub(crate) async fn writable(&self) -> Result<(PgConnectOptions, u64)> {
        let (host, connection, epoch) = self.find(&[]).await?;
        drop(timeout(CONNECT, connection.close()).await);
        Ok((host.clone(), epoch))
    }

    /// A number that changes when writes go to another server.
    pub(crate) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    /// Ends when writes go to another server than that of an epoch.
    pub(crate) async fn left(&self, epoch: u64) {
        // The sender is here: it is not closed.
        let _ = self.epoch.subscribe().wait_for(|now| *now != epoch).await;
    }

    /// Notes that the server of an epoch is not to be written to any more.
    pub(crate) fn retire(&self, epoch: u64) {
        let is_news = self.epoch.send_if_modified(|now| {
            let is_news = *now == epoch;
            *now += u64::from(is_news);
            is_news
        });
        if is_news {
            tracing::warn!("the database server only reads; looking for the one that can be written to");
        }
    }

    /// The settings of a connection, as an expression for each.
    pub(crate) fn set(&self, settings: &[ServerSettings]) -> String {
        let of_url = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let ours = settings.iter().flat_map(|settings| settings.iter().copied());
        of_url.chain(ours).fold(String::new(), |mut all, (name, value)| {
            let _ = write!(all, "set_config({}, {}, false), ", quoted(name), quoted(value));
            all
        })
    }

    async fn find(&self, settings: &[ServerSettings]) -> Result<(&PgConnectOptions, PgConnection, u64)> {
        let first = self.next.load(Ordering::Acquire);
        let mut refusals = Vec::new();
        for number in (first..).take(self.hosts.len()) {
            let host = &self.hosts[number % self.hosts.len()];
            let opened = timeout(CONNECT, self.open_one(host, settings)).await;
            match opened.unwrap_or_else(|_| Err(no_answer())) {
                Ok((connection, epoch)) => return Ok((host, connection, epoch)),
                Err(error) => refusals.push((host, error)),
            }
            // The next caller need not wait for this one as well.
            let _ = self.next.compare_exchange(number, number + 1, Ordering::AcqRel, Ordering::Acquire);
        }
        Err(refused(refusals))
    }

    async fn open_one(&self, host: &PgConnectOptions, settings: &[ServerSettings]) -> Result<(PgConnection, u64)> {
        let mut connection = PgConnection::connect_with(host).await?;
        let checks = match connection.server_version_num() {
            Some(version) if version >= OLDEST_THAT_CHECKS => {
                "set_config('client_connection_check_interval', '2s', false), "
            }
            _ => "",
        };
        let sql = format!(
            "select {}{checks}current_setting('server_version_num')::bigint as version,
                 current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
                 current_setting('synchronous_commit') as synchronous_commit,
                 pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as only_reads,
                 (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as started_at",
            self.set(settings)
        );
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
        self.check(&row)?;
        Ok((connection, self.note_server(row.try_get("started_at")?)))
    }

    /// Refuses a server that could lose commits, or takes none.
    fn check(&self, row: &PgRow) -> Result<()> {
        let refuse = |why: String| Err(StoreError::Unusable(why));
        if row.try_get::<i64, _>("version")? < OLDEST {
            return refuse("the server is older than PostgreSQL 13".to_owned());
        }
        let trusted = ["fsync", "full_page_writes"].iter().filter(|_| self.durability == Durability::Checked);
        for setting in trusted.chain(&["synchronous_commit"]) {
            if row.try_get::<String, _>(*setting)? == "off" {
                let advice = match *setting {
                    "synchronous_commit" => "set it to on",
                    _ => {
                        "set it to on; if its storage is durable all the same, as that of some managed services, set \
                          database.durability to `trusted`"
                    }
                };
                return refuse(format!("`{setting}` is off: the server would lose what it said it had; {advice}"));
            }
        }
        if row.try_get("only_reads")? {
            return Err(StoreError::Unavailable(
                "the server only reads: it is a standby, or was made read-only; name the primary, or all servers in one URL"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// The epoch of a server that can be written to.
    fn note_server(&self, started_at: i64) -> u64 {
        let mut known = self.started_at.lock().unwrap_or_else(PoisonError::into_inner);
        if known.replace(started_at).is_some_and(|before| before != started_at) {
            self.epoch.send_modify(|now| *now += 1);
            tracing::info!("the database is another server, or was started anew");
        }
        self.epoch()
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable(format!("the server let nobody in within {} s", CONNECT.as_secs()))
}

/// What all servers said; of one, its own words.
fn refused(mut refusals: Vec<(&PgConnectOptions, StoreError)>) -> StoreError {
    if refusals.len() == 1 {
        return refusals.remove(0).1;
    }
    let each = refusals.iter().map(|(host, error)| format!("{}:{}: {error}", host.get_host(), host.get_port()));
    let all = each.collect::<Vec<_>>().join("; ");
    let is_unusable = refusals.iter().any(|(_, error)| matches!(error, StoreError::Unusable(_)));
    if is_unusable { StoreError::Unusable(all) } else { StoreError::Unavailable(all) }
}

/// A text as a literal, whatever `standard_conforming_strings` says.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_stays_within_its_quotes() {
        assert_eq!(quoted(r"a'b\"), r"E'a''b\\'");
    }
}
