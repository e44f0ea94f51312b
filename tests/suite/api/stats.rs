//! `/api/v1/stats/`.

use std::time::Duration;

use postrider_tests::{Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

use super::tenants::other_tenant;
use crate::e2e::deliver::{publish, subscribe};

/// Until events are counted too.
const LATER: Duration = Duration::from_secs(120);

async fn stats(server: &Server, path: &str) -> Value {
    server.get(&format!("/api/v1/stats/{path}")).await
}

#[tokio::test]
async fn what_happened_is_counted_by_tenant_and_webhook() {
    let mut server = Server::start().await;
    let receiver =
        Receiver::plain(|_, request| Reply::status(if request.head.contains("/well") { 200 } else { 500 }, "")).await;
    let (well, _) = subscribe(&server, &receiver.url("/well"), json!({})).await;
    let (ill, _) = subscribe(&server, &receiver.url("/ill"), json!({"retry_schedule": []})).await;
    let event = publish(&server, json!({})).await;
    eventually("both ended", || async {
        let event = server.get(&format!("/api/v1/events/{event}/")).await;
        let counts = &event["delivery_counts"];
        (counts["failed"] == 1 && counts["delivered"] == 1).then_some(())
    })
    .await;
    server.travel(LATER).await;
    let counted = eventually("all is counted", || async {
        let stats = stats(&server, "?step=60").await;
        let is_all = stats["total"]["events"] == 1 && stats["total"]["attempts"] == 2;
        // Read one after the other: what fails may be from before the totals.
        (is_all && stats["failing"][0].is_object()).then_some(stats)
    })
    .await;
    let total = &counted["total"];
    assert_eq!((&total["delivered"], &total["failed"]), (&json!(1), &json!(1)));
    assert_eq!(total["outcomes"], json!({"success": 1, "http_error": 1}));
    assert!(total["latency_ms"]["p50"].as_f64() > Some(0.0) && total["attempt_ms"].as_f64() > Some(0.0), "{total}");
    assert_eq!(counted["series"].as_array().expect("a list").len(), 61, "each minute of the last hour, and this one");
    assert_eq!(counted["queue"]["pending"], 0);
    assert_eq!((&counted["failing"][0]["webhook_id"], &counted["failing"][0]["attempts"]), (&json!(ill), &json!(1)));
    let of_one = stats(&server, &format!("?webhook_id={well}&step=3600")).await;
    assert_eq!((&of_one["total"]["delivered"], &of_one["total"]["failed"]), (&json!(1), &json!(0)));
    assert_eq!((&of_one["webhook_id"], &of_one["failing"]), (&json!(well), &json!([])));
    let all = stats(&server, "all/").await;
    assert_eq!((&all["total"]["attempts"], &all["failing_by_tenant"][0]["webhooks"]), (&json!(2), &json!(1)));
    let (_, key) = other_tenant(&server, "other", &["read"]).await;
    let theirs = server.request_as(&key, "GET", &format!("/api/v1/stats/?webhook_id={well}"), None).await;
    assert_eq!((theirs.status, &theirs.body["total"]["attempts"]), (200, &json!(0)), "nothing of others");
}

#[tokio::test]
async fn periods_are_in_whole_steps() {
    let server = Server::start().await;
    let shown = stats(&server, "?since=2026-01-19T10:30:30Z&until=2026-01-19T12:00:01Z&step=3600").await;
    assert_eq!(shown["since"], "2026-01-19T10:00:00.000000+00:00");
    assert_eq!(shown["until"], "2026-01-19T13:00:00.000000+00:00");
    assert_eq!(shown["series"].as_array().expect("a list").len(), 3);
    for (query, field) in [
        ("step=61", "step"),
        ("step=0", "step"),
        ("step=604860", "step"),
        ("since=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z", "step"),
        ("since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z", "since"),
        ("since=1", "since"),
        ("webhook_id=1", "webhook_id"),
        ("more=1", "more"),
    ] {
        let answer = server.request("GET", &format!("/api/v1/stats/?{query}"), None).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)), "{query}");
    }
}
