//! Receivers as they were published, run as they are.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::eventually;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A published receiver in a process of its own; it ends with the value.
pub struct PublishedReceiver {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
    _process: Child,
    /// Node looks for packages from where the file is.
    _folder: TempDir,
}

/// What `make test-setup` installed.
#[must_use]
pub fn installed() -> PathBuf {
    let folder = Path::new(PROJECT).join("target/verifiers");
    assert!(folder.join("node_modules/express").exists(), "run `make test-setup`: what receivers run on is not there");
    folder
}

impl PublishedReceiver {
    /// Starts the receiver in `tests/fixtures/published/{file}` with this secret in its environment.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(file: &str, secret: &str) -> Self {
        let code = std::fs::read_to_string(Path::new(PROJECT).join("tests/fixtures/published").join(file));
        Self::start_code(file, &code.expect("there"), &[("WEBHOOK_SECRET", secret)]).await
    }

    /// Starts the receiver that a page of `docs/formats/` shows.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_documented(format: &str, environment: &[(&str, &str)]) -> Self {
        let page = Path::new(PROJECT).join(format!("docs/formats/{format}.md"));
        let page = std::fs::read_to_string(page).expect("there");
        let code = page.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a receiver");
        Self::start_code("receiver.mjs", code, environment).await
    }

    async fn start_code(file: &str, code: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir_in(installed()).expect("a folder");
        let copy = folder.path().join(file);
        std::fs::write(&copy, code).expect("written");
        let (program, runner) = if Path::new(file).extension().is_some_and(|extension| extension == "py") {
            (installed().join("python/bin/python"), "run_receiver.py")
        } else {
            (PathBuf::from("node"), "run_receiver.mjs")
        };
        let mut process = Command::new(program)
            .arg(Path::new(PROJECT).join("tests/verifiers").join(runner))
            .arg(&copy)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let mut output = BufReader::new(process.stdout.take().expect("piped")).lines();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (listening, mut port) = watch::channel(None);
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                match line.strip_prefix("listening ") {
                    Some(port) => drop(listening.send(port.parse().ok())),
                    None => kept.lock().expect("unpoisoned").push(line),
                }
            }
        });
        let port = port.wait_for(Option::is_some).await.expect("it says where it listens").expect("a port");
        Self { port, lines, _process: process, _folder: folder }
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until it did something that `part` is a part of; the line that tells.
    pub async fn did(&self, part: &str) -> String {
        eventually(&format!("the receiver does {part}"), || async {
            self.lines.lock().expect("unpoisoned").iter().find(|line| line.contains(part)).cloned()
        })
        .await
    }

    /// All that it did.
    ///
    /// # Panics
    /// If another thread panicked over it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("unpoisoned").clone()
    }
}
