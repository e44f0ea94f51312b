//! `/api/v1/event-types/`.

use postrider_tests::Server;
use serde_json::{Value, json};

#[tokio::test]
async fn the_catalogue_with_groups_and_descriptions() {
    let server = Server::start().await;
    let list = server.get("/api/v1/event-types/").await;
    let types = list["event_types"].as_array().expect("a list");
    let expected = json!({
        "name": "screening.completed", "group": "AML Screening Events",
        "description": "AML screening check finished successfully", "profile": "standard",
        "custom": false,
    });
    assert!(types.contains(&expected));
    let groups: Vec<&Value> = types.iter().map(|item| &item["group"]).collect();
    for group in ["Onboarding Session Events", "Case & Alert Events", "Special Event Types", "KYC / frontIdCard"] {
        assert!(groups.contains(&&json!(group)), "{group}");
    }
}

#[tokio::test]
async fn the_catalogue_is_searched() {
    let server = Server::start().await;
    let names = async |query: &str| -> Vec<String> {
        let list = server.get(&format!("/api/v1/event-types/{query}")).await;
        let types = list["event_types"].as_array().expect("a list").clone();
        types.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("?search=AML+finished").await, ["screening.completed"]);
    assert_eq!(names("?search=dopaResult").await.len(), 3);
    assert_eq!(names("?search=verification.completed").await.len(), 2, "it is listed in both groups");
    assert_eq!(names("?profile=anycheck&search=review").await, ["verification.needs_review"]);
    assert_eq!(names("?search=nothing+of+the+kind").await, [""; 0]);
    assert_eq!(names("?profile=casekeeper").await.len(), 36);
}

#[tokio::test]
async fn the_catalogue_page_by_page() {
    let server = Server::start().await;
    let all = server.get("/api/v1/event-types/").await["event_types"].as_array().expect("a list").clone();
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/event-types/?limit=10{cursor}")).await;
        paged.extend(page["event_types"].as_array().expect("a list").clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn own_types_beside_the_built_in() {
    let server = Server::start().await;
    let own = json!({"name": "our.own_Type1", "group": "Ours", "description": "Our own"});
    let made = server.request("POST", "/api/v1/event-types/", Some(own.clone())).await;
    assert_eq!((made.status, &made.body["custom"]), (201, &json!(true)));
    assert_eq!(server.request("POST", "/api/v1/event-types/", Some(own)).await.status, 409);
    let built_in = json!({"name": "case.opened"});
    assert_eq!(server.request("POST", "/api/v1/event-types/", Some(built_in)).await.status, 409);
    for wrong in ["", "a b", "a-b", "é"] {
        assert_eq!(server.request("POST", "/api/v1/event-types/", Some(json!({"name": wrong}))).await.status, 422);
    }
    let path = "/api/v1/event-types/our.own_Type1/";
    let changed = server.request("PATCH", path, Some(json!({"description": "Changed"}))).await;
    assert_eq!((&changed.body["group"], &changed.body["description"]), (&json!("Ours"), &json!("Changed")));
    let subscribed = json!({"event_type": "our.own_Type1", "webhook_url": "https://a.example/"});
    let webhook = server.post("/api/v1/webhooks/", subscribed).await;
    assert_eq!(server.request("DELETE", path, None).await.status, 409, "in use");
    let id = webhook["id"].as_str().expect("an id");
    server.request("DELETE", &format!("/api/v1/webhooks/{id}/"), None).await;
    assert_eq!(server.request("DELETE", path, None).await.status, 200);
    assert_eq!(server.request("DELETE", path, None).await.status, 404);
    assert_eq!(server.request("DELETE", "/api/v1/event-types/case.opened/", None).await.status, 409);
    let gone = json!({"event_type": "our.own_Type1", "payload": {}});
    assert_eq!(server.request("POST", "/api/v1/events/", Some(gone)).await.status, 422);
}
