//! A full disk: the program's own, and PostgreSQL's.

use std::time::Duration;

use super::{Plan, on};
use crate::faults::run::{Report, Run};
use crate::{Cluster, SmallDisk};

pub(super) async fn full_disk(plan: Plan) -> Report {
    let node = Run::node(plan.store);
    let disk = SmallDisk::mount(node.folder.path(), 64).await.expect("root, to mount a small disk");
    let mut run = Run::begin(plan, vec![node]).await;
    for turn in 1..=plan.times {
        disk.fill_up().await;
        run.fault();
        run.go_on(1_000..2_000).await;
        run.fault();
        if turn % 2 == 0 {
            run.kill(0).await;
        }
        disk.resize(64 * u32::try_from(turn + 1).expect("few")).await;
        if !run.is_up(0) {
            run.start(0).await;
        }
        run.accept_more(200).await;
    }
    let report = run.end().await;
    disk.unmount().await;
    report
}

/// PostgreSQL refuses what needs room, and ends itself when its log does.
pub(super) async fn full_disk_of_the_database(plan: Plan) -> Report {
    let (cluster, disk) = Cluster::on_small_disk(DATABASE_DISK).await;
    let mut run = Run::begin(plan, vec![on(&cluster)]).await;
    for turn in 1..=plan.times {
        run.accept_more(100).await;
        disk.fill_up().await;
        run.pass(Duration::from_secs(3)).await;
        run.fault();
        disk.resize(DATABASE_DISK * u32::try_from(turn + 1).expect("few")).await;
        // A recovery that ends for want of room is at its end then.
        run.go_on(1_000..1_500).await;
        if !cluster.is_running() {
            cluster.go_on();
        }
        run.accept_more(200).await;
    }
    let refused = cluster.log().matches("No space left on device").count();
    if refused < plan.times {
        run.violation(format!("the disk was full {refused} times only"));
    }
    let report = run.end().await;
    cluster.crash();
    disk.unmount().await;
    report
}

/// In megabytes: an empty database takes some 70, with its log.
const DATABASE_DISK: u32 = 160;
