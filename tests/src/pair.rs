//! A primary and its standby, which take turns.

use sqlx::{Connection, Executor, PgConnection};

use crate::{Cluster, Database, Host};

/// Two servers with one database; what is committed on one is on the other before anybody hears of it.
pub struct Pair {
    /// The one that can be written to.
    pub primary: Cluster,
    /// The one that follows.
    pub standby: Cluster,
    /// The name of the database on both.
    pub name: String,
}

impl Pair {
    /// Both on this machine.
    pub async fn new() -> Self {
        Self::of(Cluster::start("-c wal_receiver_status_interval=1s"), None).await
    }

    /// Each on a machine of its own, in a network of this process' own.
    pub async fn apart() -> Self {
        let settings = "-c wal_receiver_status_interval=1s";
        Self::of(Cluster::on_host(Host::new(1), settings), Some(Host::new(2))).await
    }

    async fn of(primary: Cluster, other: Option<Host>) -> Self {
        let database = Database::on(&primary.url());
        let Database::Postgres(url) = &database else { unreachable!("it is") };
        let name = url.rsplit_once('/').expect("a path").1.to_owned();
        let standby = primary.standby(other);
        let pair = Self { primary, standby, name };
        pair.wait_for_standbys(true).await;
        pair
    }

    /// A URL that names these servers, in their order.
    #[must_use]
    pub fn url(&self, places: &[(&str, u16)]) -> String {
        let hosts: Vec<String> = places.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        format!("postgres://postgres@{}/{}?target_session_attrs=read-write", hosts.join(","), self.name)
    }

    /// A URL that names both.
    #[must_use]
    pub fn both(&self) -> String {
        let place = |cluster: &Cluster| (cluster.address().to_owned(), cluster.port());
        let (one, other) = (place(&self.primary), place(&self.standby));
        self.url(&[(&one.0, one.1), (&other.0, other.1)])
    }

    /// Has the primary refuse to be written to, though its connections stand.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn make_a_reader(&self) {
        self.admin(&["alter system set default_transaction_read_only = on", "select pg_reload_conf()"]).await;
    }

    /// Makes the standby the one that can be written to. It waits for no other.
    ///
    /// # Panics
    /// If it is not there.
    pub async fn promote(&mut self) {
        self.standby.promote();
        std::mem::swap(&mut self.primary, &mut self.standby);
        self.wait_for_standbys(false).await;
    }

    /// Has the old primary follow the new one, which waits for it from then on.
    ///
    /// # Panics
    /// If one of them is not there.
    pub async fn follow(&mut self) {
        self.standby.follow(&self.primary);
        self.wait_for_standbys(true).await;
    }

    /// Has commits on the primary wait for a standby, or not.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn wait_for_standbys(&self, does: bool) {
        let set = if does { "set synchronous_standby_names = '*'" } else { "reset synchronous_standby_names" };
        self.admin(&[&format!("alter system {set}"), "select pg_reload_conf()"]).await;
    }

    async fn admin(&self, statements: &[&str]) {
        let url = format!("{}/{}", self.primary.url(), self.name);
        let mut admin = PgConnection::connect(&url).await.expect("a server");
        for sql in statements {
            admin.execute(sqlx::AssertSqlSafe((*sql).to_owned())).await.expect("changed");
        }
    }
}
