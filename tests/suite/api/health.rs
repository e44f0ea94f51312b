//! `/healthz` and `/readyz`.

use postrider_tests::Server;
use serde_json::json;

#[tokio::test]
async fn up_and_ready() {
    let server = Server::start().await;
    for path in ["/healthz", "/healthz/", "/readyz"] {
        let answer = server.custom(|client, base| client.get(format!("{base}{path}"))).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(server.get("/readyz").await, json!({"status": "ready"}));
}
