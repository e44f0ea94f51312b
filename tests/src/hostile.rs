//! Receivers that mean ill, or might as well.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::receiver::read_request;

/// What one does with a connection.
#[derive(Clone, Debug)]
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
    /// Answers with this.
    Answers(Vec<u8>),
    /// Takes the connection, and answers whatever is said with this.
    Says(&'static [u8]),
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
        let ill = ill.clone();
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
    read_request(&mut stream, &mut Vec::new()).await?;
    match ill {
        Ill::NeverReads | Ill::Says(_) | Ill::NeverAnswers => until_closed(&mut stream).await,
        Ill::Answers(bytes) => {
            stream.write_all(&bytes).await?;
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

async fn until_closed(stream: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
