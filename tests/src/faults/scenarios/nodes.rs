//! Several nodes on one PostgreSQL, of which one is ended, cut off or stopped.

use std::time::Duration;

use super::{Plan, beside, by, close_all, on};
use crate::faults::run::{Allowances, Report, Run};
use crate::{Cluster, Proxy, Way};

pub(super) async fn two_nodes(plan: Plan) -> Report {
    let node = Run::node(plan.store);
    let nodes = vec![node.clone(), beside(&node)];
    let mut run = Run::begin(plan, nodes).await;
    for turn in 0..plan.times {
        run.accept_more(20).await;
        run.go_on(0..400).await;
        run.kill(turn % 2).await;
        run.go_on(0..300).await;
        run.start(turn % 2).await;
    }
    run.end().await
}

pub(super) async fn partitioned(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let well = on(&cluster);
    let nodes = vec![well.clone(), by(&proxy, &cluster, &well)];
    let mut run = Run::begin(plan, nodes).await;
    run.allow(Allowances { may_overlap: true, ..Allowances::default() });
    for _ in 0..plan.times {
        run.accept_more(100).await;
        run.fault();
        proxy.set(Way::Silent);
        run.pass(PAST_LEASES).await;
        run.fault();
        close_all(&mut run, &proxy).await;
        proxy.set(Way::Open);
    }
    run.accept_more(100).await;
    run.end().await
}

/// The subscriptions' timeout, the margin of a lease, and some.
const PAST_LEASES: Duration = Duration::from_secs(20);

pub(super) async fn stopped(plan: Plan) -> Report {
    let node = Run::node(plan.store);
    let nodes = vec![node.clone(), beside(&node)];
    let mut run = Run::begin(plan, nodes).await;
    run.allow(Allowances { may_overlap: true, ..Allowances::default() });
    for _ in 0..plan.times {
        run.accept_more(100).await;
        run.fault();
        run.server(1).signal("STOP").await;
        run.pass(PAST_LEASES).await;
        run.fault();
        run.server(1).signal("CONT").await;
    }
    run.accept_more(100).await;
    run.end().await
}
