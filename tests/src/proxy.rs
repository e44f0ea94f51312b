//! A way to a server that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the way lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Everything.
    Open,
    /// What clients say, but no answer.
    Unanswered,
    /// Nothing, and nobody is told: connections stand, and nothing comes.
    Silent,
    /// Nothing: connections are closed, new ones too.
    Cut,
}

/// Passes connections on; ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A way to `port` of this machine.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let way = Arc::new(watch::Sender::new(Way::Open));
        let task = tokio::spawn({
            let way = Arc::clone(&way);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(pass(client, port, way.subscribe()));
                }
            }
        });
        Self { address, way, task }
    }

    /// Where it begins.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Opens or cuts the way.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.set(Way::Cut);
    }
}

async fn pass(mut client: TcpStream, port: u16, mut way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut asked, mut answered) = ([0; 65536], [0; 65536]);
    loop {
        let passed = tokio::select! {
            changed = way.changed() => {
                if changed.is_err() || *way.borrow_and_update() == Way::Cut { return }
                continue;
            }
            read = client.read(&mut asked), if *way.borrow() != Way::Silent => match read {
                Ok(count) if count > 0 => server.write_all(&asked[..count]).await,
                _ => return,
            },
            read = server.read(&mut answered), if *way.borrow() != Way::Silent => match read {
                // What was answered before the cut was noticed here comes too late as well.
                Ok(_) if matches!(*way.borrow(), Way::Unanswered | Way::Cut) => continue,
                Ok(count) if count > 0 => client.write_all(&answered[..count]).await,
                _ => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}
