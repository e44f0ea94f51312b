//! What may be given from outside, read whatever it is: nothing panics, and what was read means what it said.
//!
//! A fuzzer feeds these (`make fuzz`); the tests feed them the corpus beside it (`fuzz/corpus/`).

use std::sync::{Arc, LazyLock};

use postrider_core::address::AddressPolicy;
use postrider_core::event::{Event, EventDraft};
use postrider_core::event_type::EventTypeName;
use postrider_core::filter::Filter;
use postrider_core::headers::StaticHeaders;
use postrider_core::json::{self, Value, ecmascript};
use postrider_core::profile::{Outbound, Profile, Profiles};
use postrider_core::redaction::RedactedPaths;
use postrider_core::secret::{Secrets, SigningSecret};
use postrider_core::subscription::AttemptTimeout;
use postrider_core::target_url::{TargetUrl, UrlPolicy};
use postrider_core::world::SystemRandom;
use postrider_core::{DeliveryId, EventId, TenantId, Timestamp, World, cursor};
use postrider_dispatcher::{ClientOptions, GuardedClient, Outgoing};
use postrider_server::{Settings, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A reader of what is given.
pub type Target = fn(&[u8]);

/// All targets, by the names of their folders.
pub const TARGETS: [(&str, Target); 9] = [
    ("url", url),
    ("headers", headers),
    ("event", event),
    ("secret", secret),
    ("cursor", cursor_),
    ("response", response),
    ("template", template),
    ("filter", filter),
    ("config", config),
];

/// Feeds one target.
///
/// # Panics
/// If there is none of that name, or it finds something wrong.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target");
    target(data);
}

/// A URL given for a subscription.
fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for policy in [UrlPolicy::default(), UrlPolicy { dev: true, ..UrlPolicy::default() }] {
        let Ok(url) = policy.judge(text) else { continue };
        assert!(policy.dev || url.url().scheme() == "https", "{url}");
        let again = policy.judge(url.as_str()).expect("what was permitted is, as it is shown");
        assert_eq!(again.as_str(), url.as_str());
        assert_eq!(TargetUrl::from_stored(url.as_str()).as_ref().map(TargetUrl::as_str), Some(url.as_str()));
        if let Some(address) = url.literal_address() {
            assert!(policy.addresses.permits(address) || policy.dev, "{url}");
        }
    }
}

/// Static headers: a line each.
fn headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pairs = text.split('\n').map(|line| line.split_once(':').unwrap_or((line, "")));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Ok(headers) = StaticHeaders::new(pairs) else { return };
    for (name, value) in headers.iter() {
        let value = value.as_bytes();
        assert!(!value.iter().any(|byte| *byte < 0x20 || *byte > 0x7e), "{name}: {value:?}");
        assert!(!["host", "content-length", "transfer-encoding"].contains(&name.as_str()), "{name}");
    }
    assert!(StaticHeaders::from_plain(&headers.to_plain()).is_some(), "what is kept can be read");
}

/// The payload of an event.
fn event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(value) = Value::parse(text) else { return };
    let compact = json::compact(text).expect("it was read");
    let again = Value::parse(&compact).expect("it is JSON");
    assert!(json::equal(&value, &again), "{compact}");
    assert_eq!(json::compact(&compact).expect("it is JSON"), compact, "once is enough");
    if let Ok(written) = ecmascript::normalize(&compact) {
        assert_eq!(ecmascript::normalize(&written).expect("it was written so"), written);
    }
    let paths = RedactedPaths::new(vec!["a.b".to_owned(), "id".to_owned()]).expect("paths");
    assert!(Value::parse(&paths.apply(&compact)).is_ok(), "what is left is JSON");
    let _ = json::pretty(&value);
}

/// A signing secret as it is shown.
fn secret(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(secret) = SigningSecret::parse(&text) else { return };
    assert_eq!(SigningSecret::parse(secret.reveal()).expect("as it was").key(), secret.key());
    assert!(!format!("{secret:?}").contains(secret.reveal()));
    let secrets = Secrets::new(secret);
    assert!(Secrets::from_plain(&secrets.to_plain()).is_some(), "what is kept can be read");
    let _ = Secrets::from_plain(data);
}

/// The cursor of a list.
fn cursor_(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(id) = cursor::decode(&text) {
        assert_eq!(cursor::encode(id), text);
    }
}

/// What a receiver answers, whatever it is.
fn response(data: &[u8]) {
    static CLIENT: LazyLock<(Runtime, GuardedClient)> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let world = World::new(Arc::new(SystemClock::start()), Arc::new(SystemRandom));
        let addresses =
            AddressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a block")], ..AddressPolicy::default() };
        let options = ClientOptions { addresses, extra_roots: None, plain_http: true };
        let client = runtime.block_on(async { GuardedClient::new(options, world) }).expect("a client");
        (runtime, client)
    });
    let (runtime, client) = &*CLIENT;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let url = TargetUrl::from_stored(&url).expect("a URL");
        let answer = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(data).await;
            let _ = stream.shutdown().await;
        };
        let prepared = postrider_core::profile::Prepared { headers: Vec::new(), body: b"{}".to_vec() };
        let (headers, timeout) = (StaticHeaders::default(), AttemptTimeout::default());
        let outgoing = Outgoing { url: &url, prepared, headers: &headers, timeout };
        let (exchange, ()) = tokio::join!(client.send(outgoing), answer);
        assert!(!exchange.message().is_empty());
        if let Ok(response) = &exchange.result {
            assert!(response.body.len() <= postrider_core::attempt::BODY_LIMIT);
            serde_json::to_string(&response.headers).expect("what is kept can be shown");
        }
    });
}

/// A wire format's file, and what it makes of an event.
fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(profile) = Profile::parse(text) else { return };
    let event_type = EventTypeName::parse("case.opened").expect("a name");
    for payload in [r#"{"id":"a\u0000","n":1e400}"#, "{}"] {
        let draft = EventDraft::new(event_type.clone(), payload.into());
        let event = Event { id: EventId::NIL, tenant_id: TenantId::NIL, created_at: Timestamp::default(), draft };
        let outbound =
            Outbound { event: &event, metadata: Some("{\"a\":1}"), delivery_id: DeliveryId::NIL, attempt: 1 };
        if let Ok(prepared) = profile.prepare(&outbound, None, Timestamp::default()) {
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&prepared.body).is_ok(), "what is sent is JSON");
        }
    }
    let _ = Profiles::published().with(profile);
}

/// A filter, and after an empty line a payload.
fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (source, payload) = text.split_once("\n\n").unwrap_or((text, "{}"));
    let Ok(filter) = Filter::compile(source) else { return };
    Filter::compile(filter.source()).expect("what is kept can be read");
    if let Ok(payload) = Value::parse(payload) {
        assert_eq!(filter.failing_place(&payload), filter.failing_place(&payload));
    }
}

/// A file of settings.
fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A folder may be anywhere: what is read there is not what is tried here.
    if text.contains("profiles_dir") || text.contains("ca_file") {
        return;
    }
    if let Err(error) = Settings::from_text(text) {
        assert_eq!(error.to_string().lines().count(), 1, "one line: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_corpus_is_read() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let files = std::fs::read_dir(corpus.join(name)).expect("a folder for each target");
            let mut count = 0;
            for file in files {
                target(&std::fs::read(file.expect("a file").path()).expect("read"));
                count += 1;
            }
            assert!(count >= 3, "{name} has too few to begin with");
        }
    }
}
