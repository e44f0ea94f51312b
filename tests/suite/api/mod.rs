//! The API by URL: a file for each group, as in the API itself. Shapes are pinned by snapshots, with
//! ids and times masked.

mod access;
mod api_keys;
mod audit;
mod callbacks;
mod deliveries;
mod event_types;
mod events;
mod failing;
mod filters;
mod health;
mod limits;
mod logs;
mod pages;
mod personal_data;
mod profiles;
mod replays;
mod requests;
mod sessions;
mod stats;
mod tenants;
mod test;
mod webhooks;

use serde_json::Value;

/// The same answer with everything masked that differs from run to run. Null stays null.
fn masked(name: &str, value: &Value) -> Value {
    let mask = match name {
        "id" | "event_id" | "webhook_id" | "delivery_id" | "log_id" | "request_id" => "[id]",
        "created_at" | "updated_at" | "started_at" | "next_attempt_at" | "last_triggered_at" | "last_used_at" => {
            "[time]"
        }
        "previous_valid_until" => "[time]",
        "duration_ms" | "dns_ms" | "connect_ms" | "first_byte_ms" | "total_ms" => "[measured]",
        "remote_address" => "[address]",
        "secret_key" | "key" => "[secret]",
        "request_headers" | "response_headers" => "[headers]",
        "webhook_url" if value.as_str().is_some_and(|url| url.contains("127.0.0.1")) => "[url]",
        _ => {
            return match value {
                Value::Array(items) => items.iter().map(|item| masked(name, item)).collect(),
                Value::Object(fields) => {
                    fields.iter().map(|(name, value)| (name.clone(), masked(name, value))).collect()
                }
                other => other.clone(),
            };
        }
    };
    if value.is_null() { Value::Null } else { mask.into() }
}

/// Pins the shape of an answer.
fn assert_answer(name: &str, body: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!(name, masked("", body)));
}
