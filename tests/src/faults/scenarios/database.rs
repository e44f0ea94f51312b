//! PostgreSQL ended, out of reach, or full of others.

use sqlx::{Connection, Executor, PgConnection};

use super::{Plan, by, close_all, on};
use crate::faults::run::{Report, Run};
use crate::{Cluster, Database, Proxy, Way};

pub(super) async fn database_killed(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let mut run = Run::begin(plan, vec![on(&cluster)]).await;
    for turn in 0..plan.times {
        run.accept_more(100).await;
        run.go_on(0..300).await;
        run.fault();
        cluster.crash();
        // Every fifth time it is gone for long.
        let gone = if turn % 5 == 4 { 5_000..8_000 } else { 0..500 };
        run.go_on(gone).await;
        run.fault();
        cluster.go_on();
    }
    run.accept_more(100).await;
    run.end().await
}

pub(super) async fn cut_off(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let node = by(&proxy, &cluster, &on(&cluster));
    let mut run = Run::begin(plan, vec![node]).await;
    for turn in 0..plan.times {
        run.accept_more(100).await;
        run.fault();
        // Connections closed, and connections on which nothing comes any more.
        proxy.set(if turn % 2 == 0 { Way::Cut } else { Way::Silent });
        run.go_on(200..1_500).await;
        run.fault();
        if turn % 2 == 1 {
            close_all(&mut run, &proxy).await;
        }
        proxy.set(Way::Open);
    }
    run.accept_more(100).await;
    run.end().await
}

pub(super) async fn ambiguous(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let node = by(&proxy, &cluster, &on(&cluster));
    let mut run = Run::begin(plan, vec![node]).await;
    for _ in 0..plan.times {
        run.accept_more(50).await;
        run.fault();
        proxy.set(Way::Unanswered);
        run.go_on(20..200).await;
        proxy.set(Way::Cut);
        run.go_on(0..100).await;
        run.fault();
        proxy.set(Way::Open);
    }
    run.accept_more(100).await;
    run.end().await
}

pub(super) async fn used_up(plan: Plan) -> Report {
    let cluster = Cluster::start("-c max_connections=40 -c superuser_reserved_connections=1");
    let node = on(&cluster);
    let Database::Postgres(url) = node.database.clone() else { unreachable!("it is PostgreSQL") };
    let mut run = Run::begin(plan, vec![node]).await;
    for _ in 0..plan.times {
        run.accept_more(100).await;
        let mut people = PgConnection::connect(&url).await.expect("a connection");
        let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider'";
        run.fault();
        people.execute(terminate).await.expect("terminated");
        let mut taken = Vec::new();
        while let Ok(connection) = PgConnection::connect(&url).await {
            taken.push(connection);
        }
        run.go_on(500..2_000).await;
        run.fault();
        drop(taken);
    }
    run.accept_more(100).await;
    run.end().await
}
