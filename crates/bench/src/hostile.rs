//! Receivers that mean ill, or might as well.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// What one does with a connection.
#[derive(Clone, Copy, Debug)]
pub enum Ill {
    /// Takes the connection and reads nothing.
    NeverReads,
    /// Reads the request and says nothing.
    NeverAnswers,
    /// Answers with the first, then with the second, a byte a second.
    Drips(&'static str, &'static str),
    /// Answers with this and resets the connection.
    Resets(&'static str),
    /// Answers with the first, then with the second without end.
    Endless(&'static str, &'static [u8]),
    /// Answers with this and closes the connection: who does not say so in it may be sent one more request meanwhile.
    Answers(&'static [u8]),
    /// Takes the connection, and answers whatever is said with this.
    Says(&'static [u8]),
}

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const BODY_BEGINS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nit begins";
const NO_LENGTH: &str = "HTTP/1.1 200 OK\r\n\r\n";
const GZIP: &str = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f";
/// Of a server that speaks TLS 1.1 and no other.
const OLD_TLS: &[u8] = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02\
    0123456789abcdef0123456789abcdef\x00\xc0\x13\x00";

/// A kind of receiver, with the scheme of its URL.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// What it does.
    pub ill: Ill,
}

const fn http(name: &'static str, ill: Ill) -> Kind {
    Kind { name, scheme: "http", ill }
}

const fn https(name: &'static str, ill: Ill) -> Kind {
    Kind { name, scheme: "https", ill }
}

/// One that means well, to compare the others with.
pub const CONTROL: Kind =
    http("none: they answer", Ill::Answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));

/// All kinds.
pub const KINDS: [Kind; 20] = [
    http("never reads", Ill::NeverReads),
    http("never answers", Ill::NeverAnswers),
    http("drips its head", Ill::Drips("", HEAD)),
    http("resets mid-head", Ill::Resets(HEAD)),
    http("endless headers", Ill::Endless(HEAD, b"X-More: and more\r\n")),
    http("endless header", Ill::Endless("HTTP/1.1 200 OK\r\nX: ", &[b'x'; 4096])),
    http("endless informational answers", Ill::Endless("", b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    http("no HTTP", Ill::Says(b"SSH-2.0-OpenSSH_9.2\r\n")),
    http("NUL in a header", Ill::Answers(b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n")),
    http("two lengths", Ill::Answers(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")),
    http("drips its body", Ill::Drips(NO_LENGTH, "a byte a second")),
    http("resets mid-body", Ill::Resets(BODY_BEGINS)),
    http("endless body", Ill::Endless(NO_LENGTH, &[b'x'; 4096])),
    http("gzip bomb", Ill::Endless(GZIP, &[0; 4096])),
    http(
        "a 204 with a body",
        Ill::Answers(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"),
    ),
    http(
        "no text",
        Ill::Answers(b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\0\xff\xfe"),
    ),
    http(
        "length and chunks",
        Ill::Answers(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
    ),
    https("stalled handshake", Ill::NeverReads),
    https("old TLS", Ill::Says(OLD_TLS)),
    https("plain HTTP where TLS is meant", Ill::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
];

impl Kind {
    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        std::iter::once(CONTROL).chain(KINDS).find(|kind| kind.name == name)
    }
}

/// A receiver that does so; ends when dropped.
pub struct Hostile {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Hostile {
    /// Starts one.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(ill: Ill) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        if matches!(ill, Ill::NeverReads) {
            socket.set_recv_buffer_size(4096).expect("a small buffer");
        }
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = socket.local_addr().expect("an address");
        let listener = socket.listen(1024).expect("it listens");
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, ill, Arc::clone(&connections)));
        Self { address, connections, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    /// How many connections came: each is for one request.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, ill: Ill, connections: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // The sender gives up at some time.
            let _ = treat(stream, ill).await;
        });
    }
}

async fn treat(mut stream: TcpStream, ill: Ill) -> io::Result<()> {
    match ill {
        Ill::NeverReads => return std::future::pending().await,
        Ill::Says(words) => {
            stream.read_u8().await?;
            stream.write_all(words).await?;
            return until_closed(&mut stream).await;
        }
        _ => {}
    }
    take_request(&mut stream).await?;
    match ill {
        Ill::NeverReads | Ill::Says(_) | Ill::NeverAnswers => until_closed(&mut stream).await,
        Ill::Answers(bytes) => {
            stream.write_all(bytes).await?;
            stream.shutdown().await
        }
        Ill::Drips(start, slowly) => {
            stream.write_all(start.as_bytes()).await?;
            for byte in slowly.bytes() {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            until_closed(&mut stream).await
        }
        Ill::Resets(text) => {
            stream.write_all(text.as_bytes()).await?;
            stream.set_zero_linger()
        }
        Ill::Endless(start, again) => {
            stream.write_all(start.as_bytes()).await?;
            loop {
                stream.write_all(again).await?;
            }
        }
    }
}

/// Reads one request to its end.
async fn take_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    tokio::io::copy(&mut stream.take(length.unwrap_or(0)), &mut tokio::io::sink()).await?;
    Ok(())
}

async fn until_closed(stream: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
