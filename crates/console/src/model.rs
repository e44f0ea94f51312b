//! The API's answers, as far as pages show them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Webhooks {
    pub(crate) webhooks: Vec<Webhook>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) webhook_url: String,
    pub(crate) is_active: bool,
    pub(crate) description: String,
    pub(crate) filters: Box<RawValue>,
    pub(crate) created_at: String,
    pub(crate) stats: Stats,
    pub(crate) last_triggered_at: Option<String>,
    pub(crate) filtered_events: i64,
    pub(crate) profile: String,
    pub(crate) retry_schedule: Vec<u64>,
    pub(crate) timeout_seconds: u64,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stats {
    pub(crate) total_deliveries: i64,
    pub(crate) successful_deliveries: i64,
    pub(crate) failed_deliveries: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Health {
    pub(crate) state: Option<String>,
    pub(crate) in_flight: Option<u64>,
    pub(crate) in_flight_limit: Option<u64>,
    pub(crate) next_probe_at: Option<String>,
    pub(crate) queue_depth: i64,
    pub(crate) oldest_age_seconds: f64,
    pub(crate) inactive_since: Option<String>,
    pub(crate) failing_since: Option<String>,
    pub(crate) failed_attempts: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Deliveries {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) webhook_id: Option<String>,
    pub(crate) webhook_url: String,
    pub(crate) profile: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: String,
    pub(crate) next_attempt_at: Option<String>,
    #[serde(default)]
    pub(crate) attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DeliveryRequest {
    pub(crate) url: String,
    pub(crate) headers: Value,
    pub(crate) body: Option<String>,
    pub(crate) signed_content: Option<String>,
    pub(crate) curl: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) number: i64,
    pub(crate) started_at: String,
    pub(crate) duration_ms: f64,
    pub(crate) outcome: String,
    pub(crate) http_status_code: Option<u16>,
    pub(crate) message: String,
    pub(crate) webhook_url: String,
    pub(crate) request_headers: Value,
    pub(crate) response_headers: Value,
    pub(crate) response_body: String,
    pub(crate) response_body_encoding: String,
    pub(crate) remote_address: Option<String>,
    pub(crate) timings: Timings,
    pub(crate) replay_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Timings {
    pub(crate) dns_ms: Option<f64>,
    pub(crate) connect_ms: Option<f64>,
    pub(crate) first_byte_ms: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Events {
    pub(crate) events: Vec<Event>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) resource_id: Option<String>,
    pub(crate) created_at: String,
    pub(crate) payload: Option<Box<RawValue>>,
    pub(crate) delivery_counts: ByStatus,
    #[serde(default)]
    pub(crate) deliveries: Vec<Delivery>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ByStatus {
    pub(crate) pending: i64,
    pub(crate) delivered: i64,
    pub(crate) failed: i64,
    pub(crate) discarded: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tenants {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) default_profile: String,
    pub(crate) redacted_paths: Vec<String>,
    pub(crate) payload_retention: String,
    pub(crate) created_at: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Users {
    pub(crate) users: Vec<User>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) tenant_id: Option<String>,
    pub(crate) created_at: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Keys {
    pub(crate) api_keys: Vec<Key>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: String,
    pub(crate) expires_at: Option<String>,
    pub(crate) last_used_at: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TestResult {
    pub(crate) success: bool,
    pub(crate) message: String,
    pub(crate) http_status_code: Option<u16>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Profiles {
    pub(crate) profiles: Vec<Profile>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) summary: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Preview {
    pub(crate) profile: String,
    pub(crate) event_type: String,
    pub(crate) would_be_sent: bool,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Value,
    pub(crate) body: String,
    pub(crate) signed_with: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Explanation {
    pub(crate) event_id: String,
    pub(crate) webhook_id: String,
    pub(crate) verdict: String,
    pub(crate) explanation: String,
    pub(crate) checks: Vec<Check>,
    pub(crate) delivery: Option<Delivery>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Check {
    pub(crate) passed: Option<bool>,
    pub(crate) detail: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Audit {
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AuditEntry {
    pub(crate) at: String,
    pub(crate) actor: String,
    pub(crate) actor_name: Option<String>,
    pub(crate) action: String,
    pub(crate) object_id: Option<String>,
    pub(crate) remote_address: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Replays {
    pub(crate) replays: Vec<Replay>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Replay {
    pub(crate) id: String,
    pub(crate) webhook_id: Option<String>,
    pub(crate) event_type: Option<String>,
    pub(crate) status: String,
    pub(crate) since: String,
    pub(crate) until: String,
    pub(crate) rate_limit: u32,
    pub(crate) state: String,
    pub(crate) count: i64,
    pub(crate) count_is_exact: bool,
    pub(crate) replayed: i64,
    pub(crate) skipped: i64,
    pub(crate) progress: f64,
    pub(crate) created_at: String,
    pub(crate) finished_at: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ReplayPreview {
    pub(crate) count: i64,
    pub(crate) count_is_exact: bool,
    pub(crate) sample: Vec<ReplaySample>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ReplaySample {
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) created_at: String,
    pub(crate) status: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Statistics {
    pub(crate) webhook_id: Option<String>,
    pub(crate) step: i64,
    pub(crate) total: Counts,
    pub(crate) series: Vec<Point>,
    pub(crate) queue: Queue,
    #[serde(default)]
    pub(crate) failing: Vec<Failing>,
    #[serde(default)]
    pub(crate) failing_by_tenant: Vec<FailingTenant>,
    #[serde(default)]
    pub(crate) nodes: Vec<Node>,
}

impl Statistics {
    /// How long the period is.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub(crate) fn minutes(&self) -> f64 {
        self.series.len() as f64 * self.step as f64 / 60.0
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Point {
    pub(crate) at: String,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Counts {
    pub(crate) events: i64,
    pub(crate) attempts: i64,
    pub(crate) delivered: i64,
    pub(crate) failed: i64,
    pub(crate) latency_ms: Latency,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Queue {
    pub(crate) pending: i64,
    pub(crate) pending_is_exact: bool,
    pub(crate) oldest_age_seconds: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Failing {
    pub(crate) webhook_id: String,
    pub(crate) since: String,
    pub(crate) attempts: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FailingTenant {
    pub(crate) tenant_id: String,
    pub(crate) webhooks: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) number: i64,
    pub(crate) started_at: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Trials {
    pub(crate) results: Vec<Trial>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Trial {
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) created_at: String,
    pub(crate) passes: Option<bool>,
    pub(crate) failing_place: Option<String>,
}
