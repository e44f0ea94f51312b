//! What goes out is accepted by the public verifiers that receivers use.

use std::path::PathBuf;
use std::process::Stdio;

use postrider_tests::{Receiver, Server};
use rstest::rstest;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::deliver::{publish, subscribe};

/// The project's folder.
fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[rstest]
#[case::npm("node", "verify.mjs")]
#[case::pypi("target/verifiers/python/bin/python", "verify.py")]
#[tokio::test]
async fn the_public_verifier_accepts_it_and_nothing_else(#[case] program: &str, #[case] script: &str) {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let (_, secret) = subscribe(&server, &receiver.url("/"), json!({})).await;
    publish(&server, json!({"name": "Zoë \u{2028} 😀", "score": 1.0, "n": null})).await;
    let request = receiver.wait_for(1).await.remove(0);
    let body = String::from_utf8(request.body.clone()).expect("text");
    assert_eq!(verdict(program, script, &secret, &request, &body).await, "accepted");
    let tampered = body.replace("Zo", "zo");
    assert!(verdict(program, script, &secret, &request, &tampered).await.starts_with("refused"));
    let (_, other_secret) = subscribe(&server, &receiver.url("/other"), json!({})).await;
    assert!(verdict(program, script, &other_secret, &request, &body).await.starts_with("refused"));
}

async fn verdict(program: &str, script: &str, secret: &str, request: &postrider_tests::Received, body: &str) -> String {
    let header = |name: &str| request.header(name).expect("sent").to_owned();
    let headers = json!({
        "webhook-id": header("webhook-id"),
        "webhook-timestamp": header("webhook-timestamp"),
        "webhook-signature": header("webhook-signature"),
    });
    let verifiers = project().join("target/verifiers");
    assert!(verifiers.exists(), "the verifiers are not installed: run `make test-setup`");
    let program = if program.contains('/') { project().join(program) } else { program.into() };
    let mut child = Command::new(program)
        .arg(project().join("tests/verifiers").join(script))
        .arg(verifiers)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let input = json!({"secret": secret, "headers": headers, "body": body}).to_string();
    child.stdin.take().expect("piped").write_all(input.as_bytes()).await.expect("it reads");
    let output = child.wait_with_output().await.expect("it ends");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
