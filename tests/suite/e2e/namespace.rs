//! In a network of its own, where every connection that is begun is counted by the system, and names lead where the test
//! says: what is denied sends no SYN.

use std::process::Stdio;

use postrider_tests::{Binary, Server, ServerOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Public addresses that the machine of this network has itself; nobody listens there.
const OWN: &str = "9.9.9.9";
const NAMED: &str = "9.9.9.8";

/// A network with nothing but this machine, and the program in it.
const IN_A_NETWORK_OF_ITS_OWN: &str =
    "ip link set lo up && ip address add 9.9.9.9/32 dev lo && ip address add 9.9.9.8/32 dev lo && exec \"$0\" \"$@\"";

/// The same, with a resolver of its own.
const WITH_A_RESOLVER: &str = "mount --bind \"$RESOLV_CONF\" /etc/resolv.conf && exec sh -c \"$NETWORK\" \"$0\" \"$@\"";

/// A resolver that answers each question for an address with the next of the given answers, and the last one from then on.
const RESOLVE: &str = r#"
import socket, struct, sys
answers = sys.argv[1:]
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    question, asker = server.recvfrom(4096)
    end = question.index(b"\0", 12) + 5
    addresses = []
    if question[end - 4:end - 2] == b"\0\1":
        addresses = answers[0].split(",")
        answers = answers[1:] or answers
    head = question[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, len(addresses), 0, 0)
    records = [b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) for address in addresses]
    server.sendto(head + question[12:end] + b"".join(records), asker)
"#;

/// Asks the server in its network, over one connection: paths and what is posted there; or else how often a message must
/// be told before the answer is taken, with the last id in the place of `{}`. Prints what it answered.
const ASK: &str = r#"
import http.client, json, sys, time
base, key, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
connection = http.client.HTTPConnection(base)
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
def ask(method, path, body):
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    return [answer.status, json.loads(answer.read())]
answers = []
for path, body in calls:
    if isinstance(body, dict):
        answers.append(ask("POST", path, body))
        continue
    path = path.replace("{}", answers[-1][1]["id"])
    answer = ask("GET", path, None)
    while json.dumps(answer).count("not allowed") < body:
        time.sleep(0.05)
        answer = ask("GET", path, None)
    answers.append(answer)
print(json.dumps(answers))
"#;

#[tokio::test]
async fn what_is_denied_sends_no_syn() {
    let Some(options) = in_a_network_of_its_own().await else { return };
    let options = options.set("TARGETS_ALLOW", &format!("{NAMED}/32")).set("TARGETS_DENY", "8.8.8.0/24");
    let server = Server::start_with(options).await;
    let urls = [
        format!("https://{OWN}/"),
        "https://8.8.8.8/".to_owned(),
        "https://127.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://[::ffff:127.0.0.1]/".to_owned(),
        "https://a-name-that-leads-nowhere.example/".to_owned(),
    ];
    let before = begun(&server);
    let answers = ask(&server, &urls).await;
    assert_eq!(begun(&server) - before, 1, "the question's own connection and no other: {answers:?}");
    assert_eq!(answers[0][0], 502, "{answers:?}");
    assert_eq!(answers[0][1]["message"], "Test webhook delivery failed: DNS lookup failed or address not allowed");
    assert!(answers[1..5].iter().all(|answer| answer[0] == 422), "{answers:?}");
    let before = begun(&server);
    let answers = ask(&server, &[format!("https://{NAMED}/")]).await;
    assert_eq!(begun(&server) - before, 2, "what is permitted is dialled, and that is counted");
    assert_eq!(answers[0][1]["message"], "Test webhook delivery failed: Connection refused");
}

/// However it was given: permitted as text, and denied when it is to be dialled.
#[tokio::test]
async fn what_is_denied_sends_no_syn_to_whomever_it_was_for() {
    let Some(options) = in_a_network_of_its_own().await else { return };
    let server = Server::start_with(options).await;
    let url = format!("https://{OWN}/");
    let event = json!({"event_type": "case.opened", "payload": {"id": "r-1"}, "webhook_url": url});
    let calls = [
        json!(["/api/v1/webhooks/", {"event_type": "case.opened", "webhook_url": url, "retry_schedule": []}]),
        json!(["/api/v1/callbacks/", {"resource_id": "r-1", "webhook_url": url}]),
        json!(["/api/v1/events/", event]),
        json!(["/api/v1/events/{}/", 3]),
    ];
    let before = begun(&server);
    let answers = call(&server, &calls).await;
    assert_eq!(begun(&server) - before, 1, "the question's own connection and no other: {answers:?}");
    assert_eq!(answers[3][1]["deliveries"].as_array().map(Vec::len), Some(3), "{answers:?}");
}

/// A server as users run it, alone in a network; `None` for who may not make one.
async fn in_a_network_of_its_own() -> Option<ServerOptions> {
    if !can_have_a_network().await {
        eprintln!("skipped: only root can make a network");
        return None;
    }
    let under = ["unshare", "--net", "sh", "-c", IN_A_NETWORK_OF_ITS_OWN].map(str::to_owned).to_vec();
    Some(ServerOptions { binary: Binary::Real, dev: false, under, ..ServerOptions::default() })
}

async fn can_have_a_network() -> bool {
    let tried = Command::new("unshare").args(["--net", "ip", "link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    tried.await.is_ok_and(|status| status.success())
}

/// TCP connections that were begun in the server's network.
fn begun(server: &Server) -> u64 {
    let counters = std::fs::read_to_string(format!("/proc/{}/net/snmp", server.pid())).expect("Linux");
    let mut tcp = counters.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (tcp.next().expect("names"), tcp.next().expect("values"));
    let place = names.split(' ').position(|name| name == "ActiveOpens").expect("a counter");
    values.split(' ').nth(place).and_then(|value| value.parse().ok()).expect("a number")
}

/// Has the server test each URL.
async fn ask(server: &Server, urls: &[String]) -> Vec<Value> {
    let calls: Vec<_> = urls.iter().map(|url| json!(["/api/v1/webhooks/test/", {"webhook_url": url}])).collect();
    call(server, &calls).await
}

async fn call(server: &Server, calls: &[Value]) -> Vec<Value> {
    let base = server.base().trim_start_matches("http://");
    let pid = server.pid().to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid, "--net", "python3", "-c", ASK, base, server.key()]);
    command.arg(json!(calls).to_string());
    let output = command.output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_by_now_is_not_followed() {
    if !can_have_a_network().await {
        eprintln!("skipped: only root can make a network");
        return;
    }
    let options = ServerOptions { binary: Binary::Real, dev: false, ..ServerOptions::default() };
    let resolv_conf = options.folder.path().join("resolv.conf");
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n").expect("written");
    let variables = [format!("RESOLV_CONF={}", resolv_conf.display()), format!("NETWORK={IN_A_NETWORK_OF_ITS_OWN}")];
    let under = ["env"].map(str::to_owned).into_iter().chain(variables);
    let under = under.chain(["unshare", "--net", "--mount", "sh", "-c", WITH_A_RESOLVER].map(str::to_owned)).collect();
    let server =
        Server::start_with(ServerOptions { under, ..options }.set("TARGETS_ALLOW", &format!("{NAMED}/32"))).await;
    // Where it leads at first; where it leads then; both at once.
    let _resolver = resolver(&server, &[NAMED, "127.0.0.1", &format!("127.0.0.1,{NAMED}"), "169.254.169.254"]).await;
    let url = ["https://hooks.example.com/".to_owned()];
    for (message, dialled) in [
        ("Connection refused", 1),
        ("DNS lookup failed or address not allowed", 0),
        ("Connection refused", 1),
        ("DNS lookup failed or address not allowed", 0),
    ] {
        let before = begun(&server);
        let answers = ask(&server, &url).await;
        assert_eq!(answers[0][1]["message"], format!("Test webhook delivery failed: {message}"), "{answers:?}");
        assert_eq!(begun(&server) - before, 1 + dialled, "the question's own, and what was dialled");
    }
}

/// Answers the server's questions for names; ends when dropped.
async fn resolver(server: &Server, answers: &[&str]) -> Child {
    let pid = server.pid().to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid, "--net", "python3", "-c", RESOLVE]).args(answers);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next_line().await.expect("read").as_deref(), Some("ready"));
    child
}
