use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rstest::rstest;
use uuid::Uuid;

use super::*;
use crate::EventId;
use crate::secret::SigningSecret;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn named(name: &str) -> Profile {
    Profile::clone(Profiles::published().named(name).expect("published"))
}

fn event(event_type: &str, payload: &str) -> Event {
    let event_type = EventTypeName::parse(event_type).expect("well-formed");
    Event {
        id: EventId::from(Uuid::from_u128(7)),
        created_at: Timestamp::parse("2026-01-19T10:30:00.123456Z").expect("valid"),
        ..Example { event_type, payload: crate::json::compact(payload).expect("valid"), metadata: None }.as_event()
    }
}

fn secrets() -> Secrets {
    Secrets::new(SigningSecret::parse(SECRET).expect("valid"))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000 + 999_999)
}

fn prepare(profile: &Profile, event: &Event, metadata: Option<&str>) -> Result<Prepared, Unfit> {
    let outbound = Outbound { event, metadata, delivery_id: DeliveryId::from(Uuid::from_u128(9)), attempt: 2 };
    profile.prepare(&outbound, Some(&secrets()), at(1_700_000_000))
}

fn body(profile: &Profile, event: &Event) -> Result<String, String> {
    match prepare(profile, event, None) {
        Ok(prepared) => Ok(String::from_utf8(prepared.body).expect("UTF-8")),
        Err(unfit) => Err(unfit.to_string()),
    }
}

/// The request as it goes over the wire, without what the connection adds.
fn written(prepared: &Prepared) -> String {
    let header = |(name, value): &(HeaderName, HeaderValue)| {
        format!("{}: {}\n", crate::headers::title_case(name.as_str()), value.to_str().expect("visible"))
    };
    let body = std::str::from_utf8(&prepared.body).expect("UTF-8");
    format!("{}\n{body}", prepared.headers.iter().map(header).collect::<String>())
}

fn example(profile: &Profile, at: usize) -> String {
    let example = &profile.examples[at];
    let event = Event { id: EventId::from(Uuid::from_u128(7)), ..example.as_event() };
    let prepared = prepare(profile, &event, example.metadata.as_deref()).expect("fits");
    written(&prepared).replace(AGENT, "Postrider/VERSION")
}

#[test]
fn the_exact_bytes_of_the_standard_format() {
    let payload = r#"{"score":1.10,"big":12345678901234567890,"name":"é","a\u0041":-0}"#;
    let prepared = prepare(&named("standard"), &event("screening.completed", payload), None).expect("fits");
    let expected = r#"{"type":"screening.completed","timestamp":"2026-01-19T10:30:00.123456+00:00","data":{"score":1.10,"big":12345678901234567890,"name":"é","a\u0041":-0}}"#;
    assert_eq!(std::str::from_utf8(&prepared.body), Ok(expected));
    let names: Vec<&str> = prepared.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert_eq!(prepared.headers[2].1, "00000000-0000-0000-0000-000000000007");
    assert_eq!(prepared.headers[3].1, "1700000000");
}

#[test]
fn the_exact_bytes_of_the_aplyid_document() {
    let expected = r#"Content-Type: application/json
User-Agent: Postrider/VERSION
X-Workflow-Event-Type: case.completed
X-Workflow-Webhook-Id: 00000000-0000-0000-0000-000000000009

{"case_id":1024,"external_id":"order-9281","guided_flow_id":5567,"status":"completed","case_url":"https://workflow.aplyid.com/guided_flows/standard/5567/overview","client":{"id":8843,"name":"John Doe","external_id":"cust-4471","approval_status":"approved"}}"#;
    assert_eq!(example(&named("aplyid"), 0), expected);
}

#[test]
fn the_exact_bytes_of_the_case_keeper_document() {
    let expected = r#"Content-Type: application/json
User-Agent: Postrider/VERSION

{"key":"verification.updated","data":{"id":"01234567-89ab-cdef-0123-456789abcdef"}}"#;
    assert_eq!(example(&named("casekeeper"), 0), expected);
}

/// The signature was made with `openssl dgst -sha256 -hmac`.
#[test]
fn the_exact_bytes_of_the_anycheck_document() {
    let expected = r#"Content-Type: application/json
User-Agent: Postrider/VERSION
X-Webhook-Signature: a779cb0acde96ae680c8d6176e6b5ed00973eca961f2eaa11a078a09db171246

{"event":"verification.completed","verification_id":"verification-uuid","result_id":"result-uuid","status":"COMPLETED","service":{"id":"service-uuid","name":"KTP Verification"},"output":{"verified":true,"match_score":0.95,"data":{"nik":"1234567890123456","name":"JOHN DOE","birth_date":"1990-01-01"}},"execution_time":5.2,"completed_at":"2024-01-15T10:05:30Z","credit_used":1,"metadata":{"customer_id":"cust-123","order_id":"order-456","internal_ref":"ref-789"}}"#;
    assert_eq!(example(&named("anycheck"), 0), expected);
}

#[test]
fn the_exact_bytes_of_the_credas_document() {
    let expected = r#"Content-Type: application/json
User-Agent: Postrider/VERSION

{"ProcessId":"1e144e85-f45b-4ae3-8915-ae2826ea1e55","ClientId":"8c55ebc3-7ac2-469e-9837-94023aa82c3d","Status":2,"StatusDescription":"The process is complete"}"#;
    assert_eq!(example(&named("credas"), 0), expected);
}

#[test]
fn without_a_secret_it_is_unsigned() {
    for profile in Profiles::published().iter() {
        let event = profile.examples[0].as_event();
        let outbound = Outbound { event: &event, metadata: None, delivery_id: DeliveryId::NIL, attempt: 1 };
        let prepared = profile.prepare(&outbound, None, at(0)).expect("fits");
        assert!(prepared.headers.iter().all(|(name, _)| !name.as_str().ends_with("-signature")), "{}", profile.name);
    }
}

#[test]
fn a_later_try_differs_in_nothing_but_what_the_format_stamps() {
    for profile in Profiles::published().iter() {
        let event = profile.examples[0].as_event();
        let outbound = |attempt| Outbound { event: &event, metadata: None, delivery_id: DeliveryId::NIL, attempt };
        let mut first = profile.prepare(&outbound(1), Some(&secrets()), at(0)).expect("fits");
        let mut later = profile.prepare(&outbound(3), Some(&secrets()), at(30)).expect("fits");
        let stamped = [crate::signature::WEBHOOK_TIMESTAMP, crate::signature::WEBHOOK_SIGNATURE];
        first.headers.retain(|(name, _)| !stamped.contains(name));
        later.headers.retain(|(name, _)| !stamped.contains(name));
        assert_eq!(first, later, "{}", profile.name);
    }
}

#[test]
fn during_a_rotation_formats_with_room_for_one_signature_use_the_new_secret() {
    let next = SigningSecret::parse(&format!("whsec_{}", BASE64_STANDARD.encode([9; 32]))).expect("valid");
    let rotated = secrets().rotated(next.clone(), at(0), at(100));
    let sign = |profile: &Profile, secrets: &Secrets| {
        let event = profile.examples[0].as_event();
        let outbound = Outbound { event: &event, metadata: None, delivery_id: DeliveryId::NIL, attempt: 1 };
        let prepared = profile.prepare(&outbound, Some(secrets), at(1)).expect("fits");
        let signature = prepared.headers.into_iter().find(|(name, _)| name.as_str().ends_with("-signature"));
        signature.expect("signed").1.to_str().expect("visible").to_owned()
    };
    assert_eq!(sign(&named("anycheck"), &rotated), sign(&named("anycheck"), &Secrets::new(next)));
    assert_eq!(sign(&named("standard"), &rotated).split(' ').count(), 2);
}

#[rstest]
#[case(r#"{"case_id":1}"#)]
#[case(r#"{"external_id":null}"#)]
#[case(r#"{"external_id":""}"#)]
fn aplyid_sends_no_case_without_a_reference(#[case] payload: &str) {
    let aplyid = named("aplyid");
    let unmet = "payload.external_id is absent".to_owned();
    let case = event("case.completed", payload);
    assert_eq!(aplyid.unmet_condition(&case), Some(unmet.clone()));
    assert_eq!(prepare(&aplyid, &case, None), Err(Unfit::Condition(unmet)));
    assert_eq!(body(&aplyid, &event("case.opened", payload)).as_deref(), Ok(payload), "that is about one type only");
}

#[test]
fn aplyid_sends_a_client_without_a_reference() {
    let payload = r#"{"external_id":0,"client":{"external_id":null}}"#;
    assert_eq!(body(&named("aplyid"), &event("case.completed", payload)).as_deref(), Ok(payload));
}

#[rstest]
#[case("{}", r#"{"event":"verification.failed","status":"FAILED","metadata":{}}"#)]
#[case(
    r#"{"x":1.0,"7":2,"status":"FAILED"}"#,
    r#"{"7":2,"event":"verification.failed","x":1,"status":"FAILED","metadata":{}}"#
)]
#[case(
    r#"{"event":"verification.failed","metadata":{ },"a":1}"#,
    r#"{"event":"verification.failed","metadata":{},"a":1,"status":"FAILED"}"#
)]
#[case(
    r#"{"status":"COMPLETED","status":"FAILED","a":1,"a":2}"#,
    r#"{"event":"verification.failed","status":"FAILED","a":2,"metadata":{}}"#
)]
fn anycheck_is_what_ecmascript_would_write(#[case] payload: &str, #[case] expected: &str) {
    assert_eq!(body(&named("anycheck"), &event("verification.failed", payload)).as_deref(), Ok(expected));
}

#[rstest]
#[case("anycheck", "verification.failed", r#"{"status":"COMPLETED"}"#, "payload.status contradicts the event")]
#[case("anycheck", "verification.failed", r#"{"event":"other"}"#, "payload.event contradicts the event")]
#[case("anycheck", "verification.failed", r#"{"metadata":{"a":1}}"#, "payload.metadata contradicts the event")]
#[case(
    "anycheck",
    "screening.completed",
    "{}",
    r#"event.type must be one of "verification.completed", "verification.failed", "verification.needs_review""#
)]
#[case(
    "anycheck",
    "verification.failed",
    r#"{"output":{"big":[0,1e400]}}"#,
    "output.big.1 is a number beyond the range of a double"
)]
#[case("credas", "process.completed", r#"{"ProcessId":"a","Status":2}"#, "payload.ClientId is missing")]
#[case(
    "credas",
    "process.completed",
    r#"{"ProcessId":"a","ClientId":"b","Status":"2"}"#,
    "payload.Status must be one of 2"
)]
#[case(
    "credas",
    "process.completed",
    r#"{"ProcessId":"a","ClientId":"b","Status":3}"#,
    "payload.Status must be one of 2"
)]
#[case(
    "credas",
    "process.completed",
    r#"{"ProcessId":"a","process_id":"b","ClientId":"b","Status":2}"#,
    "payload.ProcessId contradicts payload.process_id"
)]
fn what_does_not_fit_is_named(
    #[case] profile: &str,
    #[case] event_type: &str,
    #[case] payload: &str,
    #[case] expected: &str,
) {
    assert_eq!(body(&named(profile), &event(event_type, payload)), Err(expected.to_owned()));
}

#[test]
fn credas_takes_other_names_too() {
    let payload = r#"{"status":2,"process_id":"a","client_id":"b","more":true}"#;
    let expected = r#"{"ProcessId":"a","ClientId":"b","Status":2,"StatusDescription":"The process is complete"}"#;
    assert_eq!(body(&named("credas"), &event("process.completed", payload)).as_deref(), Ok(expected));
}

#[test]
fn a_reason_is_one_line_of_a_bounded_length_and_holds_no_values() {
    let payload = format!(r#"{{"output":{{"{}\n":1e999}}}}"#, "é".repeat(5000));
    let reason = body(&named("anycheck"), &event("verification.failed", &payload)).expect_err("does not fit");
    assert!(reason.chars().count() < 500 && !reason.contains('\n') && !reason.contains("1e999"), "{reason}");
}

#[test]
fn holds_the_published_catalogues() {
    let profiles = Profiles::published();
    let count = |profile: &str| profiles.event_types().iter().filter(|t| t.profile.as_deref() == Some(profile)).count();
    assert_eq!(["standard", "aplyid", "casekeeper", "anycheck", "credas"].map(count), [34, 1, 36, 3, 1]);
    let groups: Vec<_> = named("standard").groups.iter().map(|group| group.event_types.len()).collect();
    assert_eq!(groups, [7, 8, 5, 9, 3, 2]);
    assert!(profiles.event_types().iter().all(|known| !known.description.is_empty()));
}

/// A format with everything that a file may say.
const SIXTH: &str = r#"
name = "sixth"
title = "Sixth"
summary = "A format of an operator's own."
body = '''{"kind": "x", "when": "{{event.created_at}}", "list": [1.0, "{{payload.a.b}}"], "all": {"...": "{{payload.a}}", "n": "{{delivery.attempt}}"}, "of": "{{event.resource_id}}", "m": "{{metadata.k}}"}'''

[headers]
X-Kind = "fixed"
X-Number = "{{payload.n}}"

[signature]
scheme = "hmac-sha256"
header = "X-Hub-Signature-256"
encoding = "hex"
prefix = "sha256="
key = "decoded"

[[groups]]
name = "Own"
event_types = [["own.happened", "It happened"]]

[[examples]]
event_type = "own.happened"
payload = '{"a": {"b": "é"}, "n": 1.50}'
metadata = '{"k": null}'
"#;

#[test]
fn a_sixth_format_is_a_file() {
    let sixth = Profile::parse(SIXTH).expect("valid");
    let written = example(&sixth, 0);
    let start = "Content-Type: application/json\nUser-Agent: Postrider/VERSION\nX-Kind: fixed\nX-Number: 1.50\nX-Hub-Signature-256: sha256=";
    assert!(written.starts_with(start), "{written}");
    let body = written.split("\n\n").nth(1).expect("a body");
    let expected = r#"{"kind":"x","when":"1970-01-01T00:00:00.000000+00:00","list":[1.0,"é"],"all":{"b":"é","n":2},"of":null,"m":null}"#;
    assert_eq!(body, expected);
    let profiles = Profiles::published().with(sixth.clone()).expect("another name");
    assert!(profiles.has_type(&EventTypeName::parse("own.happened").expect("well-formed")));
    assert_eq!(profiles.with(sixth).map(drop), Err(Conflict::TwiceNamed("sixth".to_owned())));
    let other = Profile::parse(&SIXTH.replace("[[\"own.happened\"", "[[\"own.else\"")).expect("valid");
    let event_type = EventTypeName::parse("own.happened").expect("well-formed");
    let unknown = Conflict::UnknownType { profile: "sixth".to_owned(), event_type };
    assert_eq!(Profiles::published().with(other).expect("another name").check_types(), Err(unknown));
    assert_eq!(Profiles::published().check_types(), Ok(()));
}

#[rstest]
#[case("name = \"sixth\"", "name = \"Sixth Format\"", 2, "`name` must be 1 to 64 lower-case letters")]
#[case("title", "titel", 3, "unknown field `titel`")]
#[case("{{event.created_at}}", "{{event.made_at}}", 5, "`event.made_at` is none of")]
#[case("{{event.created_at}}", "at {{event.created_at}}", 5, "mixes text with a path")]
#[case("{{metadata.k}}", "{{table.k}}", 5, "there is no table `k`")]
#[case(r#""kind": "x", "#, r#""kind": "x" "#, 5, "is not valid JSON")]
#[case(r#""kind": "x""#, r#""all": "x""#, 5, "has a name twice")]
#[case(r#""...": "{{payload.a}}""#, r#""...": "{{event.id}}""#, 5, "`...` must be")]
#[case("X-Kind", "Content-Length", 8, "is set by the connection")]
#[case("X-Kind", "X Kind", 8, "")]
#[case("[[groups]]", "[aliases]\nn = \"n\"\n\n[[groups]]", 5, "stands for itself")]
#[case("\"It happened\"]]", "\"It happened\", \"x\"]]", 20, "must be pairs")]
#[case("\"It happened\"]]", "\"x\"], [\"own.happened\", \"y\"]]", 20, "has a type twice")]
#[case("[[groups]]", "[tables.t]\nof = \"event.type\"\nrows = [[1, 2, 3]]\n\n[[groups]]", 19, "must be pairs")]
#[case("X-Kind", "X-Hub-Signature-256", 5, "is the signature's")]
#[case("[[groups]]", "[aliases]\nx = \"y\"\n\n[[groups]]", 5, "nothing reads the alias `x`")]
#[case("[[groups]]", "[tables.t]\nof = \"event.type\"\nrows = []\n\n[[groups]]", 5, "nothing uses the table `t`")]
#[case("[[groups]]", "[tables.t]\nof = \"event.type\"\nrows = [[1, 2], [1, 3]]\n\n[[groups]]", 19, "a left side twice")]
#[case("{{payload.a.b}}", "{{payload.a}} {{payload.b}}", 5, "without braces")]
#[case("hex", "octal", 11, "unknown variant `octal`")]
#[case("hmac-sha256", "rsa", 12, "unknown variant `rsa`")]
#[case("own.happened\", \"It", "own happened\", \"It", 20, "is not the name of an event type")]
#[case(r#"'{"a": {"b": "é"}, "n": 1.50}'"#, r#"'{"a": {"b": "é"}}'"#, 24, "payload.n is missing")]
#[case(r#"'{"a": {"b": "é"}, "n": 1.50}'"#, "'[]'", 24, "must be a JSON object")]
fn a_mistake_in_a_file_is_found_with_its_line(
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] line: usize,
    #[case] expected: &str,
) {
    let error = Profile::parse(&SIXTH.replacen(right, wrong, 1)).expect_err("a mistake");
    assert!(error.message.contains(expected), "{error}");
    assert_eq!(error.line, line, "{error}");
}

proptest::proptest! {
    #[test]
    fn no_template_and_no_payload_panics(
        template in "[\\[\\]{}\",: .a-c]{0,20}(\"\\{\\{(payload|metadata|table|event)(\\.[a-c]{0,2}){0,2}\\}\\}\")?[\\]}]{0,3}",
        payload in "\\{(\"[a-c]\":(1e999|\"x\"|null|\\[1\\]|\\{\"a\":2\\})(,\"[a-c]\":-0)?)?\\}",
    ) {
        let file = SIXTH.replace("{\"kind\": \"x\", \"when\": \"{{event.created_at}}\",", &template);
        let _ = Profile::parse(&file);
        for profile in Profiles::published().iter() {
            let _ = body(profile, &event("verification.completed", &payload));
        }
    }
}

/// A payload that gathers what is slow to handle; were the time not proportional, this would not end.
#[test]
fn a_megabyte_of_anything_is_written_in_time() {
    let duplicates = r#""status":"FAILED","#.repeat(50_000);
    let digits = "9".repeat(200_000);
    let payload = format!(r#"{{{duplicates}"n":0.{digits},"s":"{}"}}"#, r"\u0000".repeat(10_000));
    let metadata = format!(r#"{{"m":[{}1]}}"#, "1,".repeat(8000));
    for profile in Profiles::published().iter() {
        let _ = prepare(profile, &event("verification.failed", &payload), Some(&metadata));
    }
}
