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
    way: Arc<watch::Sender<(Way, u16)>>,
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
        let way = Arc::new(watch::Sender::new((Way::Open, port)));
        let task = tokio::spawn({
            let way = Arc::clone(&way);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(pass(client, way.subscribe()));
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
        self.way.send_modify(|(now, _)| *now = way);
    }

    /// Leads new connections to another port of this machine, as a name does that was given to another server. Those that stand
    /// hear nothing more.
    pub fn lead_to(&self, port: u16) {
        self.way.send_modify(|(_, now)| *now = port);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.set(Way::Cut);
    }
}

async fn pass(mut client: TcpStream, mut way: watch::Receiver<(Way, u16)>) {
    let (first, port) = *way.borrow_and_update();
    if first == Way::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut asked, mut answered) = ([0; 65536], [0; 65536]);
    let way_now = |way: &watch::Receiver<(Way, u16)>| match *way.borrow() {
        (Way::Cut, _) => Way::Cut,
        (_, aim) if aim != port => Way::Silent,
        (now, _) => now,
    };
    loop {
        let is_silent = way_now(&way) == Way::Silent;
        let passed = tokio::select! {
            changed = way.changed() => {
                if changed.is_err() || way_now(&way) == Way::Cut { return }
                continue;
            }
            read = client.read(&mut asked), if !is_silent => match read {
                Ok(count) if count > 0 => server.write_all(&asked[..count]).await,
                _ => return,
            },
            read = server.read(&mut answered), if !is_silent => match read {
                // What was answered before the cut was noticed here comes too late as well.
                Ok(_) if matches!(way_now(&way), Way::Unanswered | Way::Cut) => continue,
                Ok(count) if count > 0 => client.write_all(&answered[..count]).await,
                _ => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}
