//! The program as a process of its own, and a client for it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use crate::PATIENCE;
use crate::clock::TRAVELLED;
use crate::database::{Database, sqlite_file};

/// The key that every test server knows.
const KEY: &str = "test-key-0123456789-0123456789-0123456789";

/// Which program to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// The one that users run.
    Real,
    /// The same under a clock that travels.
    Travelling,
    /// The same with places where it can be told to end itself; see `src/bin/testing.rs`.
    Faulty,
}

impl Binary {
    /// Where it is.
    ///
    /// # Panics
    /// If it was not built.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let name = match self {
            Self::Real => "postrider",
            Self::Travelling | Self::Faulty => "postrider-testing",
        };
        // A test is at target/debug/deps/test, other programs beside this one.
        let this = std::env::current_exe().expect("a path");
        let path = this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
        path.unwrap_or_else(|| panic!("{name} is not built: run `make programs`, or `make test`"))
    }

    /// What `TEST_AS` tells the tests' program to be.
    const fn role(self) -> Option<&'static str> {
        match self {
            Self::Real => None,
            Self::Travelling => Some("travelling"),
            Self::Faulty => Some("faulty"),
        }
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Which program.
    pub binary: Binary,
    /// Runs it: a program and its arguments, such as a tracer.
    pub under: Vec<String>,
    /// Under `--dev`.
    pub dev: bool,
    /// Further settings, as `POSTRIDER_…` without the prefix.
    pub settings: Vec<(String, String)>,
    /// Where it keeps what it must not lose.
    pub database: Database,
    /// The folder of its log, and of its database if that is a file; kept over restarts by whoever holds it.
    pub folder: Arc<TempDir>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            binary: Binary::Travelling,
            under: Vec::new(),
            dev: true,
            settings: Vec::new(),
            database: Database::of_this_run(),
            folder: Arc::new(TempDir::new().expect("a temporary folder")),
        }
    }
}

impl ServerOptions {
    /// With one more setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command that starts `arguments` of the program with these settings.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = self.binary.path();
        let mut command = match self.under.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(arguments).current_dir(self.folder.path()).kill_on_drop(true);
        if let Some(role) = self.binary.role() {
            command.env("TEST_AS", role);
        }
        // Not where others may listen by now.
        command.env("POSTRIDER_LISTEN", "127.0.0.1:0");
        for (name, value) in &self.settings {
            command.env(format!("POSTRIDER_{name}"), value);
        }
        command.env("POSTRIDER_DATABASE_URL", self.database.url(self.folder.path()));
        command
    }

    /// The file of an SQLite database.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        sqlite_file(self.folder.path())
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    /// How often its clock was set forward.
    travels: watch::Receiver<u64>,
    base: String,
    key: String,
    client: reqwest::Client,
    options: ServerOptions,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; null if it is no JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Server {
    /// Starts one under `--dev` and the travelling clock.
    pub async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    /// Starts one as told, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start_with(options: ServerOptions) -> Self {
        Self::try_start_with(options).await.unwrap_or_else(|why| panic!("not ready: {why}"))
    }

    /// Starts one that may end before it is ready.
    ///
    /// # Errors
    /// What it said instead, if it did.
    ///
    /// # Panics
    /// If it neither gets ready nor ends.
    pub async fn try_start_with(options: ServerOptions) -> Result<Self, String> {
        let mut command = options.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("POSTRIDER_BOOTSTRAP_API_KEY", KEY).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(options.folder.path().join("server.log")).expect("a log file"));
        if options.dev {
            command.arg("--dev");
        } else if !options.settings.iter().any(|(name, _)| name == "MASTER_KEY") {
            command.env("POSTRIDER_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        }
        let mut child = command.spawn().expect("the server starts");
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("ready in time");
        let first = first.expect("readable").unwrap_or_default();
        let base = first.strip_prefix("Postrider is ready on ").map(str::to_owned);
        let log = std::fs::read_to_string(options.folder.path().join("server.log")).unwrap_or_default();
        let Some(base) = base else { return Err(format!("{first:?}\n{log}")) };
        let (travelled, travels) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                travelled.send_modify(|times| *times += u64::from(line == TRAVELLED));
            }
        });
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Ok(Self { child, stdin, travels, base, key: KEY.to_owned(), client, options })
    }

    /// A request with the test key; `path` begins at the root.
    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.request_as(&self.key, method, path, body).await
    }

    /// A request with another key.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn request_as(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_request(key, method, path, body).await.expect("an answer")
    }

    /// A request that may find nobody.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn try_request(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::read(request.send().await?).await
    }

    /// Any request: `build` gets the client and the base URL.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn custom(&self, build: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder) -> Answer {
        let response = build(&self.client, &self.base).send().await.expect("an answer");
        Self::read(response).await.expect("a whole answer")
    }

    async fn read(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    /// A GET that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request("GET", path, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.body);
        answer.body
    }

    /// A POST that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.request("POST", path, Some(body)).await;
        assert!((200..300).contains(&answer.status), "POST {path}: {} {}", answer.status, answer.body);
        answer.body
    }

    /// The test key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it is asked with.
    #[must_use]
    pub const fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Where it is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// How it was started.
    #[must_use]
    pub const fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Where it logs.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        Path::new(self.options.folder.path()).join("server.log")
    }

    /// Sets its clock forward, and waits until that is so.
    ///
    /// # Panics
    /// If it is not the travelling program, or no longer runs.
    pub async fn travel(&mut self, by: Duration) {
        assert_eq!(self.options.binary, Binary::Travelling, "the real program does not travel");
        let before = *self.travels.borrow();
        let stdin = self.stdin.as_mut().expect("piped");
        stdin.write_all(format!("{}\n", by.as_micros()).as_bytes()).await.expect("it listens");
        stdin.flush().await.expect("it listens");
        let arrived = self.travels.wait_for(|times| *times > before);
        tokio::time::timeout(PATIENCE, arrived).await.expect("in time").expect("it runs");
    }

    /// Ends it without warning (SIGKILL).
    ///
    /// # Panics
    /// If it cannot be ended.
    pub async fn kill(mut self) -> ServerOptions {
        self.child.kill().await.expect("killed");
        self.options.clone()
    }

    /// Its process.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// If nobody knows.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("known").is_some()
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().await.expect("kill runs");
        assert!(sent.success());
    }

    /// Waits until it ended by itself.
    ///
    /// # Panics
    /// If it does not.
    pub async fn wait(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("ends in time").expect("waited for")
    }
}

/// Runs a command of the program to its end: its exit code, standard output and standard error.
///
/// # Panics
/// If it cannot be run.
pub async fn run_command(options: &ServerOptions, arguments: &[&str]) -> (i32, String, String) {
    let mut command = options.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let (read_out, read_err) = tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err));
    assert!(read_out.is_ok() && read_err.is_ok());
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("ends in time").expect("waited for");
    (status.code().unwrap_or(-1), out, err)
}
