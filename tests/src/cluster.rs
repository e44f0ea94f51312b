//! A PostgreSQL server of a test's own, to be stopped and started.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::{Host, SmallDisk};

/// Where its data is, in its folder.
const DATA: &str = "data";
/// Megabytes of a file of its log.
const USUAL_SEGMENT: &str = "16";

/// A server on a free port; stopped and thrown away when dropped.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    settings: String,
    /// The machine it is on, if not this one.
    host: Option<Host>,
}

impl Cluster {
    /// Makes and starts one with settings such as `-c fsync=off`.
    ///
    /// # Panics
    /// If PostgreSQL's programs are missing, or it does not start.
    #[must_use]
    pub fn start(settings: &str) -> Self {
        Self::start_with(settings, &[])
    }

    /// The same with files of its own; `{folder}` in `settings` is where they are.
    ///
    /// # Panics
    /// The same.
    #[must_use]
    pub fn start_with(settings: &str, files: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().expect("a folder"), None, settings, files, USUAL_SEGMENT)
    }

    /// The same on a machine of its own.
    ///
    /// # Panics
    /// The same.
    #[must_use]
    pub fn on_host(host: Host, settings: &str) -> Self {
        Self::start_in(TempDir::new().expect("a folder"), Some(host), settings, &[], USUAL_SEGMENT)
    }

    /// The same with its data on a disk of its own of a few megabytes, which only root can have.
    ///
    /// # Panics
    /// The same, and without the right to mount a disk.
    pub async fn on_small_disk(megabytes: u32) -> (Self, SmallDisk) {
        let folder = TempDir::new().expect("a folder");
        let data = folder.path().join(DATA);
        std::fs::create_dir(&data).expect("a folder");
        let disk = SmallDisk::mount(&data, megabytes).await.expect("root, to mount a small disk");
        // Little of its log is kept, so that it soon needs room for more.
        let settings = "-c min_wal_size=2MB -c max_wal_size=8MB";
        (Self::start_in(folder, None, settings, &[], "1"), disk)
    }

    /// A standby of this one, which follows it by streaming replication until it is promoted.
    ///
    /// # Panics
    /// The same.
    #[must_use]
    pub fn standby(&self, host: Option<Host>) -> Self {
        let standby = Self {
            folder: TempDir::new().expect("a folder"),
            programs: self.programs.clone(),
            port: free_port(),
            settings: self.settings.clone(),
            host,
        };
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(standby.folder.path()));
        }
        standby.copy_of(self);
        standby
    }

    /// Ends it and has it follow another one, whose copy it becomes.
    ///
    /// # Panics
    /// The same.
    pub fn follow(&self, primary: &Self) {
        if let Some(host) = &self.host {
            host.come_back();
        }
        if self.is_running() {
            self.crash();
        }
        std::fs::remove_dir_all(self.data()).expect("removed");
        self.copy_of(primary);
    }

    /// From now on nothing comes from its machine, and nobody is told.
    ///
    /// # Panics
    /// If it is on this one.
    pub fn vanish(&self) {
        self.host.as_ref().expect("a machine of its own").vanish();
    }

    fn copy_of(&self, primary: &Self) {
        let (data, port) = (self.data(), primary.port.to_string());
        let from = ["-h", primary.address(), "-p", &port, "-U", "postgres"];
        let how = ["-D", &data, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"];
        self.run("pg_basebackup", &[&from[..], &how[..]].concat());
        self.go_on();
    }

    /// Makes a standby one that can be written to.
    ///
    /// # Panics
    /// If it is none.
    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// Ends it as one does who switches over: clients are told, and what was committed is sent to standbys.
    ///
    /// # Panics
    /// If it does not run.
    pub fn shut_down(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "fast", "-w", "stop"]);
    }

    fn start_in(folder: TempDir, host: Option<Host>, settings: &str, files: &[(&str, &str)], segment: &str) -> Self {
        let find = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres-bin");
        let found = Command::new(find).output().expect("the script runs");
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        let programs = PathBuf::from(String::from_utf8(found.stdout).expect("a path").trim());
        let mut cluster = Self {
            programs,
            port: 0,
            settings: settings.replace("{folder}", &folder.path().display().to_string()),
            folder,
            host,
        };
        for (name, contents) in files {
            let file = cluster.folder.path().join(name);
            std::fs::write(&file, contents).expect("written");
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its own");
        }
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(cluster.folder.path()));
        }
        let data = cluster.data();
        let usual = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        cluster.run("initdb", &[&["-D", &data, "--wal-segsize", segment], &usual[..]].concat());
        if cluster.host.is_some() {
            cluster.admit_the_network();
        }
        // Not earlier: somebody else may have it by then.
        cluster.port = free_port();
        cluster.go_on();
        cluster
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it does not start.
    pub fn go_on(&self) {
        let (log, options) = (format!("{}/log", self.folder.path().display()), self.options());
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-l", &log, "-o", &options, "start"]);
    }

    /// Ends it without warning.
    ///
    /// # Panics
    /// If it does not run.
    pub fn crash(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.command("pg_ctl", &["-D", &self.data(), "status"]).status().is_ok_and(|status| status.success())
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its URL, without a database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}:{}", self.address(), self.port)
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &str {
        self.host.as_ref().map_or("127.0.0.1", Host::address)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn options(&self) -> String {
        let (port, address, settings) = (self.port, self.address(), &self.settings);
        format!("-p {port} -c listen_addresses={address} -c unix_socket_directories='' {settings}")
    }

    /// Lets machines of the network in.
    fn admit_the_network(&self) {
        let file = format!("{}/pg_hba.conf", self.data());
        let mut rules = std::fs::read_to_string(&file).expect("there");
        rules.push_str("host all all 10.77.0.0/16 trust\nhost replication all 10.77.0.0/16 trust\n");
        std::fs::write(&file, rules).expect("written");
    }

    fn data(&self) -> String {
        format!("{}/{DATA}", self.folder.path().display())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut words = self.host.as_ref().map_or_else(Vec::new, Host::under);
        if is_root() {
            words.extend(["runuser", "-u", "postgres", "--"].map(str::to_owned));
        }
        words.push(self.programs.join(program).display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        // The server keeps what it inherits: pipes would never end.
        let out = std::fs::File::create(self.folder.path().join("out")).expect("a file");
        command.args(arguments).current_dir("/").stdout(out.try_clone().expect("a file")).stderr(out);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let status = self.command(program, arguments).status().expect("it runs");
        let told = std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
        assert!(status.success(), "{program}: {told}\n{}", self.log());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]).status();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

fn is_root() -> bool {
    Path::new("/root").read_dir().is_ok()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}
