//! Payloads that end who sends them.

use std::time::Duration;

use serde_json::json;

use super::{Plan, begin};
use crate::Server;
use crate::faults::run::{Allowances, Report, Run};

/// Each ends the process or its task whenever it is sent, until it is found out.
pub(super) async fn poison(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    run.allow(Allowances { panics: true, ..Allowances::default() });
    let hook = json!({"event_type": POISON_TYPE, "webhook_url": run.sink().url("/well"), "timeout_seconds": 2});
    run.server(0).post("/api/v1/webhooks/", hook).await;
    for kind in ["panic", "abort"] {
        let id = publish_poison(&mut run, kind).await;
        let mut is_found = false;
        for _ in 0..PATIENCE_WITH_POISON {
            supervise(&mut run).await;
            is_found = is_poison(run.server(0), &id).await;
            if is_found {
                break;
            }
        }
        supervise(&mut run).await;
        if !is_found {
            run.violation(format!("a payload that says {kind} was not found out"));
        }
    }
    let mut report = run.end().await;
    if let Some(bystanders) = report.ended.get("failed (poison)") {
        report.violations.push(format!("L0: {bystanders} bystanders ended as poison"));
    }
    report
}

/// What the poison is published as; nothing else is.
const POISON_TYPE: &str = "case.completed";
/// How often the process is looked after until the poison must have been found out.
const PATIENCE_WITH_POISON: usize = 300;

/// The answer may be lost with the process; then it is asked for again.
async fn publish_poison(run: &mut Run, kind: &str) -> String {
    let body = json!({"event_type": POISON_TYPE, "payload": {"fail_point": kind}, "idempotency_key": kind});
    loop {
        let server = run.server(0);
        let answer = server.try_request(server.key(), "POST", "/api/v1/events/", Some(body.clone())).await;
        match answer.ok().and_then(|answer| answer.body["id"].as_str().map(str::to_owned)) {
            Some(id) => return id,
            None => supervise(run).await,
        }
    }
}

/// Starts the node again if it has ended; looks for a while.
async fn supervise(run: &mut Run) {
    if run.ended(0, Duration::from_millis(500)).await {
        while !run.is_up(0) {
            run.start(0).await;
        }
    }
}

async fn is_poison(server: &Server, id: &str) -> bool {
    let path = format!("/api/v1/events/{id}/");
    let Ok(answer) = server.try_request(server.key(), "GET", &path, None).await else { return false };
    let delivery = &answer.body["deliveries"][0];
    delivery["status"] == "failed" && delivery["reason"] == "poison"
}
