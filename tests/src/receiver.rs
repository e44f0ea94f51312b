//! A receiver that keeps what it gets, to the byte, and answers as it is told.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::PATIENCE;

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Received {
    /// The head, to the byte.
    pub head: String,
    /// The body, to the byte.
    pub body: Vec<u8>,
}

impl Received {
    /// A header's value, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (given, value) = line.split_once(": ")?;
            given.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The names of its headers as they were sent, in order.
    #[must_use]
    pub fn header_names(&self) -> Vec<&str> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(": ").map(|(name, _)| name)).collect()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with these bytes.
    Raw(Vec<u8>),
    /// Answers with these bytes and closes.
    RawAndClose(Vec<u8>),
    /// Answers with these bytes when it is told to.
    When(Arc<Notify>, Vec<u8>),
    /// Never answers.
    Hang,
    /// Closes without an answer.
    Close,
}

impl Reply {
    /// A status and a body.
    #[must_use]
    pub fn status(status: u16, body: &str) -> Self {
        Self::with_headers(status, "", body)
    }

    /// The same answer, given when `told` says so.
    ///
    /// # Panics
    /// If the answer is not one that is given at once.
    #[must_use]
    pub fn when(self, told: &Arc<Notify>) -> Self {
        let Self::Raw(bytes) = self else { panic!("not given at once") };
        Self::When(Arc::clone(told), bytes)
    }

    /// A status, headers (each ended by CRLF) and a body.
    #[must_use]
    pub fn with_headers(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes())
    }
}

type Answerer = dyn Fn(usize, &Received) -> Reply + Send + Sync;

/// A running receiver; ends when dropped.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

struct Kept {
    connections: AtomicUsize,
    requests: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    answer: Box<Answerer>,
}

impl Receiver {
    /// Over plain HTTP; `answer` is given the number of the request, from 0.
    pub async fn plain(answer: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Box::new(answer)).await
    }

    /// Over TLS.
    pub async fn tls(
        config: Arc<ServerConfig>,
        answer: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(TlsAcceptor::from(config)), Box::new(answer)).await
    }

    /// Over plain HTTP, content with everything.
    pub async fn content() -> Self {
        Self::plain(|_, _| Reply::status(200, "ok")).await
    }

    async fn start(tls: Option<TlsAcceptor>, answer: Box<Answerer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let kept = Arc::new(Kept {
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            answer,
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&kept)));
        Self { address, scheme, kept, task }
    }

    /// A URL of this receiver.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What came so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.kept.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.kept.connections.load(Ordering::Relaxed)
    }

    /// Waits until `count` requests came, and returns them.
    ///
    /// # Panics
    /// If they do not come within [`PATIENCE`].
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut seen = self.kept.count.subscribe();
        let waited = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| *seen >= count)).await;
        let came = self.requests();
        assert!(waited.is_ok(), "{count} requests expected, {} came", came.len());
        came
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, kept: Arc<Kept>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, kept) = (tls.clone(), Arc::clone(&kept));
        kept.connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // A sender that goes away is none of the receiver's troubles.
            let _ = converse(stream, tls, &kept).await;
        });
    }
}

async fn converse(stream: TcpStream, tls: Option<TlsAcceptor>, kept: &Kept) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => serve(stream, kept).await,
        Some(tls) => serve(tls.accept(stream).await?, kept).await,
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, kept: &Kept) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(received) = read_request(&mut stream, &mut buffer).await? {
        let number = {
            let mut requests = kept.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(received.clone());
            requests.len() - 1
        };
        let reply = (kept.answer)(number, &received);
        kept.count.send_modify(|count| *count = (*count).max(number + 1));
        match reply {
            Reply::Raw(bytes) => stream.write_all(&bytes).await?,
            Reply::RawAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::When(told, bytes) => {
                told.notified().await;
                stream.write_all(&bytes).await?;
            }
            Reply::Hang => std::future::pending().await,
            Reply::Close => return stream.shutdown().await,
        }
        stream.flush().await?;
    }
    Ok(())
}

/// The next request of a connection; `None` when the sender closed it.
pub(crate) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).replace("\r\n", "\n");
    let mut received = Received { head, body: Vec::new() };
    let length = received.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let body_start = head_end + 4;
    while buffer.len() < body_start + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    received.body = buffer[body_start..body_start + length].to_vec();
    buffer.drain(..body_start + length);
    Ok(Some(received))
}
