//! Machines of a network that can be lost: each is a network namespace, joined by a cable to the one that the test is in.

use std::process::{Child, Command, Stdio};

/// Says that the process is in a network of its own already.
const INSIDE: &str = "TEST_IN_A_NETWORK";

/// Whether this process is in a network of its own, or else may begin one.
#[must_use]
pub fn is_in_a_network_of_its_own() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs a test of this program again, by its full name, in a network of its own with nothing but this machine. True inside: the
/// test is to go on. False outside, when it has gone well there; also where nobody may make a network.
///
/// # Panics
/// If it has not.
#[must_use]
pub fn in_a_network_of_its_own(test: &str) -> bool {
    if is_in_a_network_of_its_own() {
        return true;
    }
    let tried = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("skipped: only root can make a network");
        return false;
    }
    let this = std::env::current_exe().expect("a path");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).arg(this);
    let status = command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").status().expect("it runs");
    assert!(status.success(), "{test} failed in its network");
    false
}

/// A machine of the network. Gone when dropped.
#[derive(Debug)]
pub struct Host {
    number: u8,
    address: String,
    /// Keeps its namespace.
    keeper: Child,
}

impl Host {
    /// One with the address 10.77.`number`.2. Its packets to others go through here.
    ///
    /// # Panics
    /// If there is one of this number, or no right to make one.
    #[must_use]
    pub fn new(number: u8) -> Self {
        let mut keeper = Command::new("unshare");
        keeper.args(["--net", "sleep", "3600"]);
        let keeper = keeper.spawn().expect("it runs");
        let host = Self { number, address: format!("10.77.{number}.2"), keeper };
        host.wait_for_its_namespace();
        let (here, there, pid) = (format!("here{number}"), format!("there{number}"), host.keeper.id().to_string());
        ip(&["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", &pid]);
        ip(&["address", "add", &format!("10.77.{number}.1/30"), "dev", &here]);
        ip(&["link", "set", &here, "up"]);
        host.ip(&["link", "set", "lo", "up"]);
        host.ip(&["address", "add", &format!("10.77.{number}.2/30"), "dev", &there]);
        host.ip(&["link", "set", &there, "up"]);
        host.ip(&["route", "add", "default", "via", &format!("10.77.{number}.1")]);
        // Between machines; the setting is this network's own.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("this network's");
        host
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What runs a command on it.
    pub(crate) fn under(&self) -> Vec<String> {
        ["nsenter", "--net", "--target", &self.keeper.id().to_string()].map(str::to_owned).to_vec()
    }

    /// From now on nothing comes from it, and it hears of nothing; nobody is told.
    pub fn vanish(&self) {
        let (here, address) = (format!("here{}", self.number), self.address());
        // Or else its silence at the cable would be told.
        ip(&["neighbour", "replace", address, "lladdr", "02:00:00:00:00:01", "dev", &here, "nud", "permanent"]);
        self.ip(&["link", "set", &format!("there{}", self.number), "down"]);
    }

    /// It is back.
    pub fn come_back(&self) {
        ip(&["neighbour", "delete", self.address(), "dev", &format!("here{}", self.number)]);
        self.ip(&["link", "set", &format!("there{}", self.number), "up"]);
        self.ip(&["route", "replace", "default", "via", &format!("10.77.{}.1", self.number)]);
    }

    /// Until then, what is said of it is said of this process' own.
    fn wait_for_its_namespace(&self) {
        let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/net")).ok();
        let (mine, pid) = (namespace("self"), self.keeper.id().to_string());
        while namespace(&pid).is_none_or(|its| Some(its) == mine) {
            std::thread::yield_now();
        }
    }

    fn ip(&self, arguments: &[&str]) {
        let under = self.under();
        let mut command = Command::new(&under[0]);
        run(command.args(&under[1..]).arg("ip").args(arguments));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
