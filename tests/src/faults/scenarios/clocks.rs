//! The clock of the machine, set while the program runs.

use super::Plan;
use crate::faults::run::{Allowances, Report, Run};
use crate::{ServerOptions, WallClock};

/// In seconds.
const HOUR: i64 = 3600;

/// Set while the program runs, it must change nothing; every third time the next process begins with it.
pub(super) async fn clocks(plan: Plan) -> Report {
    let clock = WallClock::right();
    let node = ServerOptions { under: clock.under(), ..Run::node(plan.store) };
    let mut run = Run::begin(plan, vec![node]).await;
    run.allow(Allowances { clock_was_set: true, ..Allowances::default() });
    for turn in 0..plan.times {
        run.accept_more(100).await;
        clock.set([HOUR, 0, -HOUR, 0][turn % 4]);
        // It is read anew within a second.
        run.go_on(1_000..2_000).await;
        run.accept_more(100).await;
        if turn % 3 == 2 {
            run.kill(0).await;
            run.start(0).await;
        }
    }
    run.end().await
}
