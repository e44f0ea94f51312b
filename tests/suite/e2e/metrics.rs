//! Metrics, and what is built upon them.

use postrider_tests::{Receiver, Reply, Server, ServerOptions, eventually};
use serde_json::{Value, json};

use super::deliver::{publish, settled, subscribe};

const DELIVERED: &str = r#"postrider_deliveries_ended_total{state="delivered",reason=""}"#;
const EXHAUSTED: &str = r#"postrider_deliveries_ended_total{state="failed",reason="retries_exhausted"}"#;

pub(super) async fn scrape(server: &Server) -> String {
    let page = reqwest::Client::new().get(format!("{}/metrics", server.base())).bearer_auth(server.key());
    page.send().await.expect("an answer").text().await.expect("text")
}

/// The value of a series as it stands on the page.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).parse().expect("a number")
}

#[tokio::test]
async fn what_happens_is_counted() {
    let receiver =
        Receiver::plain(|_, request| Reply::status(if request.head.starts_with("POST /bad") { 500 } else { 200 }, ""))
            .await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/good"), json!({})).await;
    let good = publish(&server, json!({})).await;
    settled(&server, &good, "delivered").await;
    let (bad, _) = subscribe(&server, &receiver.url("/bad"), json!({"retry_schedule": []})).await;
    server.get(&format!("/api/v1/webhooks/{bad}/")).await;
    publish(&server, json!({})).await;
    // The event's two deliveries are recorded each for itself, and counted once they are recorded.
    let page = eventually("all three ended", async || {
        let page = scrape(&server).await;
        (value(&page, DELIVERED) + value(&page, EXHAUSTED) >= 3.0).then_some(page)
    })
    .await;
    assert_eq!(value(&page, "postrider_events_accepted_total"), 2.0);
    assert_eq!(value(&page, DELIVERED), 2.0);
    assert_eq!(value(&page, EXHAUSTED), 1.0);
    assert_eq!(value(&page, r#"postrider_attempts_total{outcome="success"}"#), 2.0);
    assert_eq!(value(&page, r#"postrider_attempts_total{outcome="http_error"}"#), 1.0);
    assert_eq!(value(&page, "postrider_first_attempt_delay_seconds_count"), 3.0);
    assert_eq!(value(&page, "postrider_accept_seconds_count"), 2.0);
    assert_eq!(value(&page, r#"postrider_commit_rows_count{of="events"}"#), 2.0);
    let one = r#"postrider_request_seconds_count{route="/api/v1/webhooks/{id}",status="2xx"}"#;
    assert!(value(&page, one) >= 1.0, "routes are patterns");
    assert!(!page.contains(&bad) && !page.contains(&good), "no ids in labels");
}

#[tokio::test]
async fn metrics_are_for_the_operator_unless_they_are_open() {
    let own = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let options = ServerOptions { dev: false, ..ServerOptions::default() };
    let server = Server::start_with(options.set("METRICS_LISTEN", &own.to_string())).await;
    let anonymous = server.custom(|client, base| client.get(format!("{base}/metrics"))).await;
    assert_eq!(anonymous.status, 401);
    let reader = server.post("/api/v1/api-keys/", json!({"name": "reader", "scopes": ["read"]})).await;
    let reader = reader["key"].as_str().expect("a key");
    assert_eq!(server.request_as(reader, "GET", "/metrics", None).await.status, 403);
    assert_eq!(server.request("GET", "/metrics", None).await.status, 200);
    let open = reqwest::get(format!("http://{own}/metrics")).await.expect("an answer").text().await.expect("text");
    assert!(open.contains("postrider_events_accepted_total 0"), "{open}");
    let dev = Server::start().await;
    assert_eq!(dev.custom(|client, base| client.get(format!("{base}/metrics"))).await.status, 200);
}

/// A label, and its value if only one will do.
type Matcher = (String, Option<String>);

/// Every `postrider_…` series that a query asks for, with its label matchers.
fn asked(query: &str) -> Vec<(String, Vec<Matcher>)> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find("postrider_") {
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let mut matchers = Vec::new();
        if let Some(inner) = after.strip_prefix('{').and_then(|after| after.split_once('}')).map(|(inner, _)| inner) {
            for matcher in inner.split(',') {
                let (label, exact) = matcher.split_once('=').expect("a matcher");
                matchers
                    .push((label.to_owned(), exact.strip_prefix('"').map(|value| value.trim_matches('"').to_owned())));
            }
        }
        found.push((name.to_owned(), matchers));
        rest = after;
    }
    found
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    settled(&server, &event_id, "delivered").await;
    let page = scrape(&server).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/monitoring");
    let dashboard = std::fs::read_to_string(format!("{folder}/dashboard.json")).expect("there");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let mut queries: Vec<String> = targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect();
    let alerts = std::fs::read_to_string(format!("{folder}/alerts.yml")).expect("there");
    let expressions = alerts.split("expr:").skip(1).map(|rest| rest.split("labels:").next().unwrap_or_default());
    queries.extend(expressions.map(str::to_owned));
    let mut count = 0;
    for (name, matchers) in queries.iter().flat_map(|query| asked(query)) {
        let is_there = page.lines().any(|line| {
            let Some(labels) = line.strip_prefix(&name) else { return false };
            labels.starts_with(['{', ' '])
                && matchers.iter().all(|(label, exact)| match exact {
                    Some(value) => labels.contains(&format!("{label}=\"{value}\"")),
                    None => labels.contains(&format!("{}=\"", label.trim_end_matches(['=', '~', '!']))),
                })
        });
        assert!(is_there, "{name} {matchers:?} is not in\n{page}");
        count += 1;
    }
    assert!(count > 20, "the queries are found: {count}");
}
