//! The receiver of a fault run: it journals what it got before it answers, behaves as the path says, and can end the
//! sender at a moment that only the wire knows.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::journal::Journal;
use super::lock;
use crate::receiver::read_request;

/// The header of an answer that says under which number its request stands in the journal.
pub(super) const NUMBER: &str = "Journal-Number";

/// One request, as it came.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What it was sent to.
    pub path: String,
    /// The event.
    pub event_id: String,
    /// When it was read whole.
    pub arrived: Instant,
    /// When it was answered, and how; `None` while it is not.
    pub answered: Option<(Instant, u16)>,
}

/// A moment of a request that the receiver knows best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The request was read whole; no answer was begun.
    RequestRead,
    /// Half of the answer's head was sent.
    HalfHead,
    /// The head and half of the body were sent.
    HalfBody,
}

impl Moment {
    /// All there are.
    pub(super) const ALL: [Self; 3] = [Self::RequestRead, Self::HalfHead, Self::HalfBody];
}

/// Ends a process at a moment.
#[derive(Clone, Copy, Debug)]
struct Trap {
    moment: Moment,
    /// How many requests pass unharmed.
    left: u32,
    pid: u32,
}

/// A running receiver; ends when dropped.
pub(super) struct Sink {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    journal: Journal,
    entries: Mutex<Vec<Entry>>,
    /// How many requests came for an event and a path.
    seen: Mutex<HashMap<(String, String), u32>>,
    trap: Mutex<Option<Trap>>,
}

impl Sink {
    /// Starts one with its journal in `folder`.
    ///
    /// # Panics
    /// If there is no free port.
    pub(super) async fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            journal: Journal::create(&folder.join("received")),
            entries: Mutex::default(),
            seen: Mutex::default(),
            trap: Mutex::default(),
        });
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        // A sender that is killed breaks off.
                        let _ = shared.converse(stream).await;
                    });
                }
            }
        });
        Self { port, shared, task }
    }

    /// A URL of it, by a name, so that names are resolved.
    #[must_use]
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// What came so far, by number.
    #[must_use]
    pub(super) fn entries(&self) -> Vec<Entry> {
        lock(&self.shared.entries).clone()
    }

    /// Ends the process `pid` at this moment of a request, after letting `left` others pass.
    pub(super) fn trap(&self, moment: Moment, left: u32, pid: u32) {
        *lock(&self.shared.trap) = Some(Trap { moment, left, pid });
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        while let Some(request) = read_request(&mut stream, &mut buffer).await? {
            let path = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
            let event_id = request.header("webhook-id").unwrap_or_default().to_owned();
            let nth = {
                let mut seen = lock(&self.seen);
                let count = seen.entry((event_id.clone(), path.clone())).or_default();
                *count += 1;
                *count
            };
            let number = {
                let mut entries = lock(&self.entries);
                let entry =
                    Entry { path: path.clone(), event_id: event_id.clone(), arrived: Instant::now(), answered: None };
                entries.push(entry);
                entries.len() - 1
            };
            let status = behaviour(&path, nth, &event_id);
            let line = json!({"number": number, "event": event_id, "path": path, "status": status});
            self.journal.write(line.to_string()).await;
            self.spring(Moment::RequestRead);
            let Some(status) = status else { std::future::pending().await };
            // Counted before it is sent: what the sender can know, the journal knows.
            lock(&self.entries)[number].answered = Some((Instant::now(), status));
            self.answer(&mut stream, number, status).await?;
        }
        Ok(())
    }

    async fn answer(&self, stream: &mut TcpStream, number: usize, status: u16) -> io::Result<()> {
        let head = format!("HTTP/1.1 {status} X\r\nJournal-Number: {number}\r\nContent-Length: 2\r\n\r\n");
        if !self.is_trapped() {
            return stream.write_all(format!("{head}ok").as_bytes()).await;
        }
        stream.write_all(&head.as_bytes()[..20]).await?;
        self.spring(Moment::HalfHead);
        stream.write_all(&head.as_bytes()[20..]).await?;
        stream.write_all(b"o").await?;
        self.spring(Moment::HalfBody);
        stream.write_all(b"k").await
    }

    fn is_trapped(&self) -> bool {
        lock(&self.trap).is_some()
    }

    /// Ends the sender if this is the moment, before anything more is sent.
    fn spring(&self, moment: Moment) {
        let mut trap = lock(&self.trap);
        match trap.as_mut() {
            Some(set) if set.moment == moment && set.left > 0 => set.left -= 1,
            Some(set) if set.moment == moment => {
                let ended = Command::new("kill").args(["-s", "KILL", &set.pid.to_string()]).status();
                assert!(ended.is_ok(), "the sender can be killed");
                *trap = None;
            }
            _ => {}
        }
    }
}

/// How the `nth` request for an event is answered, from 1; `None` is not at all. The path with silences answers often
/// enough not to be taken for dead.
fn behaviour(path: &str, nth: u32, event_id: &str) -> Option<u16> {
    match (path, nth) {
        ("/flaky", 1 | 2) | ("/down" | "/on-and-off", _) => Some(500),
        ("/silent", 1) if event_id.ends_with(['0', '1', '2']) => None,
        _ => Some(200),
    }
}

/// The time between two requests that a schedule of one second asks for, as far as a receiver can see it and
/// the clocks of two nodes agree.
pub(super) const ONE_SECOND: Duration = Duration::from_millis(950);
