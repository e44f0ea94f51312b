//! The process ended: at random, at places in the code, at moments on the wire, and in order.

use std::time::Duration;

use postrider_core::fail_point::FailPoint;
use rand::RngExt;

use super::{Load, Plan, begin, beside};
use crate::faults::run::{Report, Run, Store};
use crate::faults::sink::Moment;

/// How long a process may take to reach the place where it is to end.
const REACHED: Duration = Duration::from_secs(30);

pub(super) async fn kills(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    for turn in 0..plan.times {
        run.accept_more(20).await;
        run.go_on(0..600).await;
        run.switch(0, turn % 4 != 1).await;
        run.kill(0).await;
        run.start(0).await;
    }
    run.end().await
}

pub(super) async fn points(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    for _ in 0..plan.times {
        for point in FailPoint::ALL {
            abort_at(&mut run, point).await;
        }
    }
    run.end().await
}

async fn abort_at(run: &mut Run, point: FailPoint) {
    let is_in_drain = matches!(point, FailPoint::DrainBegun | FailPoint::DrainWaited | FailPoint::DrainEnded);
    let is_rare = matches!(point, FailPoint::ChunkWritten | FailPoint::ChunkCommitted);
    // Some points are passed seldom: once for each new connection, for instance.
    let most = if run.load() == Load::Light { 6 } else { 40 };
    let times = if is_in_drain || is_rare { 1 } else { run.rng.random_range(1..most) };
    run.kill(0).await;
    let mut options = run.options(0);
    options.under = vec!["env".to_owned(), format!("FAIL_POINT={point:?}:{times}")];
    run.start_as(0, options).await;
    if run.is_up(0) {
        if is_rare {
            run.publish_wide().await;
        }
        if is_in_drain {
            run.accept_more(50).await;
            run.server(0).signal("TERM").await;
        }
        if !run.ended(0, REACHED).await {
            run.violation(format!("{point:?} was never reached"));
            run.kill(0).await;
        }
    }
    run.start(0).await;
    run.look().await;
}

pub(super) async fn moments(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    for _ in 0..plan.times {
        for moment in Moment::ALL {
            let (left, pid) = (run.rng.random_range(0..40), run.server(0).pid());
            run.sink().trap(moment, left, pid);
            if !run.ended(0, REACHED).await {
                run.violation(format!("{moment:?} was never reached"));
                run.kill(0).await;
            }
            run.start(0).await;
            run.look().await;
        }
    }
    run.end().await
}

pub(super) async fn rolling(plan: Plan) -> Report {
    let mut nodes = vec![Run::node(plan.store)];
    if plan.store == Store::Postgres {
        nodes.push(beside(&nodes[0]));
    }
    let count = nodes.len();
    let mut run = Run::begin(plan, nodes).await;
    for turn in 0..plan.times {
        let node = turn % count;
        run.accept_more(20).await;
        run.go_on(0..300).await;
        run.server(node).signal("TERM").await;
        let status = run.server(node).wait().await;
        if !status.success() {
            run.violation(format!("SIGTERM ended with {status}"));
        }
        run.start(node).await;
    }
    let mut report = run.end().await;
    if report.unrecorded > 0 {
        report.violations.push(format!("D0: {} requests left no record", report.unrecorded));
    }
    report
}
