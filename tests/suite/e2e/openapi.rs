//! The API described by itself.

use std::path::Path;
use std::process::Stdio;

use postrider_tests::{Server, ServerOptions, run_command};
use serde_json::Value;
use tokio::process::Command;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

async fn described(server: &Server) -> Value {
    let document = server.custom(|client, base| client.get(format!("{base}/api/v1/openapi.json"))).await;
    assert_eq!(document.status, 200, "for everybody");
    document.body
}

#[tokio::test]
async fn the_description_in_the_repository_is_the_one_that_is_served() {
    let kept = std::fs::read_to_string(format!("{REPOSITORY}/docs/openapi.json")).expect("there");
    let (code, printed, _) = run_command(&ServerOptions::default(), &["openapi"]).await;
    assert_eq!((code, printed == kept), (0, true), "run `make generated` and look at what changed");
    let server = Server::start().await;
    assert_eq!(described(&server).await, serde_json::from_str::<Value>(&kept).expect("JSON"));
}

/// Calls `look` with every object under `value` and its path.
fn walk(path: &str, value: &Value, look: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            look(path, fields);
            fields.iter().for_each(|(name, inner)| walk(&format!("{path}/{name}"), inner, look));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, inner)| walk(&format!("{path}/{n}"), inner, look));
        }
        _ => {}
    }
}

/// Whether a body has an example, by itself or by its schema.
fn has_example(document: &Value, content: &Value) -> bool {
    let schema = &content["schema"];
    let name = schema["$ref"].as_str().or_else(|| schema["oneOf"][1]["$ref"].as_str());
    let named = name.and_then(|name| name.strip_prefix("#/components/schemas/"));
    let schema = named.map_or(schema, |name| &document["components"]["schemas"][name]);
    let has = |value: &Value| value.get("example").is_some();
    has(content) || has(schema) || schema["allOf"].as_array().is_some_and(|parts| parts.iter().any(has))
}

#[tokio::test]
async fn every_field_and_parameter_is_described_and_every_body_has_an_example() {
    let server = Server::start().await;
    let document = described(&server).await;
    let mut missing = Vec::new();
    walk("", &document["components"]["schemas"], &mut |path, fields| {
        for (name, property) in fields.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let described = property.get("description").or(property["oneOf"][0].get("description"));
            if described.is_none() && path.matches("/example").count() == 0 {
                missing.push(format!("{path}.{name}"));
            }
        }
    });
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let call = format!("{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter.get("description").is_none() {
                    missing.push(format!("{call}: {}", parameter["name"]));
                }
            }
            for name in ["summary", "operationId", "tags"] {
                if operation.get(name).is_none() {
                    missing.push(format!("{call}: {name}"));
                }
            }
            let sent = &operation["requestBody"]["content"]["application/json"];
            if !sent.is_null() && !has_example(&document, sent) {
                missing.push(format!("{call}: an example of its body"));
            }
            for (status, answer) in operation["responses"].as_object().expect("answers") {
                let shared = answer["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/responses/"));
                let answer = shared.map_or(answer, |name| &document["components"]["responses"][name]);
                let mut contents = answer["content"].as_object().expect("a body").values();
                if status != "default" && !contents.all(|content| has_example(&document, content)) {
                    missing.push(format!("{call}: an example of {status}"));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[tokio::test]
async fn the_reference_is_readable_offline() {
    let server = Server::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let page = async |path: &str| {
        let answer = client.get(format!("{}{path}", server.base())).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("text")
    };
    let with_slash = page("/docs/").await;
    let page = page("/docs").await;
    assert_eq!(page, with_slash);
    let (base, page) = (r#"<base href="/docs/">"#, page);
    assert!(page.contains(base), "{page}");
    let page = page.replace(base, "");
    let links: Vec<&str> = ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|attribute| page.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()))
        .collect();
    assert!(links.len() >= 3, "{page}");
    for link in links {
        assert!(!link.contains("//"), "{link} is elsewhere");
        let answer = reqwest::get(format!("{}/docs/{}", server.base(), link.trim_start_matches("./"))).await;
        assert_eq!(answer.expect("an answer").status(), 200, "{link}");
    }
    let initializer = reqwest::get(format!("{}/docs/swagger-initializer.js", server.base())).await.expect("an answer");
    assert!(initializer.text().await.expect("text").contains("/api/v1/openapi.json"));
}

/// Lets Schemathesis make requests from the description and judge the answers.
async fn judge(server: &Server, examples: u32, checks: &str, selection: &[&str]) {
    let program = Path::new(REPOSITORY).join("target/verifiers/python/bin/schemathesis");
    assert!(program.exists(), "{} is not there: run `make test-setup`", program.display());
    let mut command = Command::new(program);
    command.args(["run", &format!("{}/api/v1/openapi.json", server.base()), "--url", server.base()]);
    command.args(["-H", &format!("Authorization: Bearer {}", server.key()), "--checks", checks]);
    command.args(["--max-examples", &examples.to_string(), "--seed", "1"]);
    command.args(["--no-color", "--generation-database", "none"]);
    command.args(selection).current_dir(server.options().folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Makes so many requests of each call, and expects that every answer is as described.
pub(crate) async fn answers_are_as_described(examples: u32) {
    let options = ServerOptions::default().set("TARGETS_DENY", "0.0.0.0/0,::/0");
    let server = Server::start_with(options).await;
    let conformance = "response_schema_conformance,content_type_conformance,status_code_conformance";
    // A test of an endpoint that does not answer is a 502; a revoked key would end everything else.
    let apart = ["test_webhook", "delete_api_key"];
    let without = apart.iter().flat_map(|id| ["--exclude-operation-id", id]).collect::<Vec<_>>();
    judge(&server, examples, &format!("not_a_server_error,{conformance}"), &without).await;
    let only = apart.iter().flat_map(|id| ["--include-operation-id", id]).collect::<Vec<_>>();
    judge(&server, examples, conformance, &only).await;
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[tokio::test]
async fn answers_are_as_described_whatever_is_asked() {
    answers_are_as_described(4).await;
}
