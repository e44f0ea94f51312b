//! `/api/v1/tenants/`, and what belongs to whom.

use postrider_tests::Server;
use serde_json::{Value, json};

use super::access::UNKNOWN_ID;

/// A key of a new tenant.
pub(crate) async fn other_tenant(server: &Server, name: &str, scopes: &[&str]) -> (String, String) {
    let tenant = server.post("/api/v1/tenants/", json!({"name": name})).await;
    let id = tenant["id"].as_str().expect("an id").to_owned();
    let made = server
        .custom(|client, base| {
            let request = client.post(format!("{base}/api/v1/api-keys/")).bearer_auth(server.key());
            request.header("X-Tenant-Id", &id).json(&json!({"name": "k", "scopes": scopes}))
        })
        .await;
    (id, made.body["key"].as_str().expect("a key").to_owned())
}

#[tokio::test]
async fn create_list_get_delete() {
    let server = Server::start().await;
    let made = server.request("POST", "/api/v1/tenants/", Some(json!({"name": "acme"}))).await;
    assert_eq!(made.status, 201);
    let mut fields: Vec<&String> = made.body.as_object().expect("an object").keys().collect();
    fields.sort();
    assert_eq!(fields, ["created_at", "default_profile", "id", "name", "payload_retention", "redacted_paths"]);
    assert_eq!(server.request("POST", "/api/v1/tenants/", Some(json!({"name": "acme"}))).await.status, 409);
    assert_eq!(server.request("POST", "/api/v1/tenants/", Some(json!({"name": " "}))).await.status, 422);
    let list = server.get("/api/v1/tenants/").await;
    let names: Vec<&Value> = list["tenants"].as_array().expect("a list").iter().map(|tenant| &tenant["name"]).collect();
    assert_eq!(names, ["acme", "default"]);
    let path = format!("/api/v1/tenants/{}/", made.body["id"].as_str().expect("an id"));
    assert_eq!(server.get(&path).await, made.body);
    assert_eq!(server.request("DELETE", &path, None).await.status, 200);
    assert_eq!(server.request("GET", &path, None).await.status, 404);
    let default = format!("/api/v1/tenants/{}/", list["tenants"][1]["id"].as_str().expect("an id"));
    assert_eq!(server.request("DELETE", &default, None).await.status, 409);
}

#[tokio::test]
async fn the_operator_acts_in_a_tenant() {
    let server = Server::start().await;
    let (id, key) = other_tenant(&server, "acme", &["manage"]).await;
    let as_tenant = |key: &str, tenant: &str| {
        let (key, tenant) = (key.to_owned(), tenant.to_owned());
        server.custom(move |client, base| {
            client.get(format!("{base}/api/v1/webhooks/")).header("X-API-Key", key).header("X-Tenant-Id", tenant)
        })
    };
    assert_eq!(as_tenant(server.key(), &id).await.status, 200);
    assert_eq!(as_tenant(&key, &id).await.status, 403, "only an admin may name a tenant");
    assert_eq!(as_tenant(server.key(), UNKNOWN_ID).await.status, 404);
    assert_eq!(as_tenant(server.key(), "nonsense").await.status, 404);
}
