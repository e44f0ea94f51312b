//! Child processes, and what the system knows of them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Ticks of `/proc/PID/stat` in a second: a constant of Linux.
const TICKS: f64 = 100.0;

/// Longest time that a process may take to say where it listens.
const START: Duration = Duration::from_secs(60);

/// A process that says on its standard output where it listens; killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// `http://…`
    pub(crate) base: String,
    /// From its start until it said so.
    pub(crate) took: Duration,
}

impl Process {
    /// Starts it, and waits until a line of its output holds a URL.
    pub(crate) async fn start(mut command: Command) -> Result<Self, String> {
        let begun = Instant::now();
        command.stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let said = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(at) = line.find("http://127.0.0.1:") {
                    return Ok(line[at..].split_whitespace().next().unwrap_or_default().to_owned());
                }
            }
            Err("a process ended before it was ready".to_owned())
        };
        let base = tokio::time::timeout(START, said).await.map_err(|_| "a process is not ready".to_owned())??;
        let took = begun.elapsed();
        // What else it says is read, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, base, took })
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://").trim_end_matches('/')
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu(&self) -> f64 {
        self.child.id().map_or(0.0, cpu_of)
    }

    /// MB of memory: now, and the most so far.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let status = self.child.id().and_then(|id| std::fs::read_to_string(format!("/proc/{id}/status")).ok());
        let status = status.unwrap_or_default();
        let mb = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next()?.parse::<f64>().ok())
                .map_or(0.0, |kib| kib * 1024.0 / 1e6)
        };
        (mb("VmRSS"), mb("VmHWM"))
    }

    /// Asks it to end, and waits.
    pub(crate) async fn stop(mut self) {
        if let Some(id) = self.child.id() {
            let _ = Command::new("kill").arg(id.to_string()).status().await;
            let _ = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        }
    }
}

/// Seconds of processor time of a process.
pub(crate) fn cpu_of(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15 of all, user and system time; the name is the second.
    let times = after_name.split_whitespace().skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Seconds of processor time of a process and all that it started, as far as they live.
pub(crate) fn cpu_of_tree(root: u32) -> f64 {
    let ids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_of_tree = |id: &u32| *id == root || parent_of(*id) == Some(root);
    ids.filter(is_of_tree).map(cpu_of).sum()
}

fn parent_of(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// This program again, with other arguments.
pub(crate) fn itself(arguments: &[&str]) -> Result<Command, String> {
    let mut command = Command::new(own_path()?);
    command.args(arguments);
    Ok(command)
}

/// The same, given processors only while nobody else wants them, as if it ran elsewhere. The lowest priority would not do:
/// whoever wakes up waits milliseconds for such a process too.
pub(crate) fn itself_in_the_background(arguments: &[&str]) -> Result<Command, String> {
    let mut command = Command::new("chrt");
    command.args(["--idle", "0"]).arg(own_path()?).args(arguments);
    Ok(command)
}

fn own_path() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| error.to_string())
}

/// A file's size in MB.
#[expect(clippy::cast_precision_loss, reason = "files are smaller than 2^53 bytes")]
pub(crate) fn mb(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |data| data.len() as f64 / 1e6)
}
