//! The console in a real browser: `tests/browser/` says what is done there.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use postrider_tests::{Binary, Receiver, Reply, Server, ServerOptions};
use rstest::rstest;
use tokio::process::Command;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where Debian and others have it.
fn chromium() -> PathBuf {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(|name| Path::new("/usr/bin").join(name));
    let found = named.into_iter().chain(usual).find(|path| path.exists());
    found.expect("there is no Chromium: run `make test-setup`, or name one by CHROMIUM")
}

#[rstest]
#[case::sign_in("sign-in.mjs")]
#[case::webhook("webhook.mjs")]
#[case::replay("replay.mjs")]
#[case::tenants("tenants.mjs")]
#[case::hostile_text("hostile-text.mjs")]
#[tokio::test]
async fn is_used_by_people(#[case] scenario: &str) {
    let receiver = match scenario {
        // Takes a test, and fails twice for each event.
        "webhook.mjs" => Receiver::plain(|n, _| Reply::status(if matches!(n, 1 | 2) { 500 } else { 200 }, "ok")).await,
        // Down until each event was tried.
        "replay.mjs" => Receiver::plain(|n, _| Reply::status(if n < 12 { 500 } else { 200 }, "")).await,
        _ => Receiver::plain(|_, request| Reply::status(200, &String::from_utf8_lossy(&request.body))).await,
    };
    let server = Server::start_with(ServerOptions { binary: Binary::Real, ..ServerOptions::default() }).await;
    let modules = Path::new(REPOSITORY).join("target/browser/node_modules");
    assert!(modules.exists(), "{} is not there: run `make test-setup`", modules.display());
    let output = Command::new("node")
        .arg(Path::new(REPOSITORY).join("tests/browser").join(scenario))
        .env("MODULES", modules.canonicalize().expect("a path"))
        .env("BASE", server.base())
        .env("KEY", server.key())
        .env("CHROMIUM", chromium())
        .env("RECEIVER", receiver.url("/hook"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}
