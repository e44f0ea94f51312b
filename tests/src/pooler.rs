//! `PgBouncer` in front of a PostgreSQL server.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::eventually;

/// A pooler on a free port; ends when dropped.
pub struct Pooler {
    port: u16,
    _folder: TempDir,
    _child: Child,
}

impl Pooler {
    /// Starts one before the server at `url`, with `pool_mode` and whatever else stands in `settings`.
    ///
    /// # Panics
    /// If `PgBouncer` is missing, or does not start.
    pub async fn before(url: &str, settings: &str) -> Self {
        let server = url.rsplit_once(':').expect("a port").1;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\nunix_socket_dir =\n{settings}\n"
        );
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(program());
        if std::path::Path::new("/root").read_dir().is_ok() {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
            open_to_all(folder.path());
            open_to_all(&file);
        }
        let child = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn();
        let pooler = Self { port, _folder: folder, _child: child.expect("PgBouncer starts") };
        eventually("the pooler listens", || async { TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop) })
            .await;
        pooler
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its own");
}

fn program() -> PathBuf {
    match std::env::var_os("PGBOUNCER") {
        Some(path) => path.into(),
        None => ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| "pgbouncer".into()),
    }
}
