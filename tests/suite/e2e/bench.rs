//! `postrider bench` against a running server.

use std::process::Stdio;
use std::time::Duration;

use postrider_tests::{Binary, Server, ServerOptions, run_command};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

#[tokio::test]
async fn an_installation_is_measured_and_left_as_it_was() {
    let server = Server::start().await;
    let own = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let base = ["bench", "--url", server.base(), "--key", server.key(), "--json"];
    let one_by_one: &[&str] = &["--events", "40", "--concurrency", "4"];
    let at_a_rate: &[&str] = &["--events", "40", "--rate", "400"];
    let in_batches: &[&str] = &["--events", "40", "--batch", "15"];
    for how in [one_by_one, at_a_rate, in_batches] {
        let (code, output, errors) = run_command(&own, &[&base, how].concat()).await;
        assert_eq!((code, errors.as_str()), (0, ""));
        let said: Value = serde_json::from_str(&output).expect("JSON");
        let counts = ["accepted", "delivered", "lost", "doubled"].map(|name| said[name].clone());
        assert_eq!(counts, [json!(40), json!(40), json!(0), json!(0)]);
        assert!(said["delivery_latency"]["p99_ms"].as_f64().is_some_and(|p99| p99 > 0.0), "{said}");
    }
    assert_eq!(server.get("/api/v1/webhooks/").await, json!({"webhooks": []}));
    let types = server.get("/api/v1/event-types/").await.to_string();
    assert!(!types.contains("bench."), "{types}");
}

#[tokio::test]
async fn what_cannot_be_measured_is_told_plainly() {
    let server = Server::start().await;
    let own = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let run = async |more: &[&str]| run_command(&own, &[&["bench", "--url", server.base()], more].concat()).await;
    let (code, _, errors) = run(&["--key", "wrong"]).await;
    assert!(code == 1 && errors.contains("Send a valid API key"), "{errors}");
    let (code, _, errors) = run(&[]).await;
    assert!(code == 2 && errors.contains("--key"), "{errors}");
    let (code, _, errors) = run(&["--key", "two words"]).await;
    assert!(code == 2 && errors.contains("one word"), "{errors}");
    let (code, _, errors) = run(&["--key", "k", "--listen", "0.0.0.0:0"]).await;
    assert!(code == 1 && errors.contains("--receiver-url"), "{errors}");
    let (code, _, errors) = run_command(&own, &["bench", "--key", "k", "--url", "127.0.0.1:8080"]).await;
    assert!(code == 2 && errors.contains("http://"), "{errors}");
    let (code, _, errors) = run_command(&own, &["bench", "--key", "k", "--url", "http://127.0.0.1:9"]).await;
    assert!(code == 1 && errors.contains("Connection refused"), "{errors}");
    let unreachable = ["--key", server.key(), "--receiver-url", "http://10.0.0.1/bench"];
    let (code, _, errors) = run(&unreachable).await;
    assert!(code == 1 && errors.contains("--receiver-url"), "{errors}");
    assert!(!server.get("/api/v1/event-types/").await.to_string().contains("bench."), "nothing is left behind");
}

#[tokio::test]
async fn an_installation_that_does_not_answer_can_be_left() {
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", mute.local_addr().expect("bound"));
    let own = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let mut command = own.command(&["bench", "--url", &url, "--key", "k"]);
    let mut bench = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let process = bench.id().expect("running").to_string();
    // One call waits; the first signal ends it and asks for what is to be deleted, the second ends that.
    let mut held = Vec::new();
    for signal in ["-INT", "-HUP"] {
        held.push(mute.accept().await.expect("a call"));
        assert!(Command::new("kill").args([signal, &process]).status().await.expect("sent").success());
    }
    let ended = tokio::time::timeout(Duration::from_secs(20), bench.wait()).await;
    assert_eq!(ended.expect("in time").expect("waited for").code(), Some(1));
}
