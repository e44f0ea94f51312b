//! How values on the command line look: a reader for each form.

use std::time::Duration;

use axum::http::StatusCode;
use postrider_core::Timestamp;
use postrider_core::api_key::Scope;
use postrider_core::event::KEY_LIMIT;
use postrider_core::json::{Value, compact};
use postrider_core::role::Role;
use postrider_core::secret::SigningSecret;
use postrider_core::tenant::NAME_LIMIT;
use postrider_core::time::parse_duration;
use postrider_core::user::{USER_NAME_LIMIT, is_user_name};

use super::Answer;

pub(super) fn read_http_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    url.map(|_| text.to_owned()).ok_or_else(|| "must be a URL that begins with http:// or https://".to_owned())
}

pub(super) fn read_concurrency(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=10_000).contains(count));
    count.ok_or_else(|| "must be a whole number from 1 to 10000".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the parser's")]
pub(super) fn read_secret(text: &str) -> Result<Option<SigningSecret>, String> {
    Ok(SigningSecret::parse(text))
}

/// A JSON object, without the white space between its tokens.
pub(super) fn read_object(text: &str) -> Result<String, String> {
    let value = Value::parse(text).map_err(|refusal| refusal.to_string())?;
    if value.as_object().is_none() {
        return Err("must be a JSON object".to_owned());
    }
    compact(text).map_err(|refusal| refusal.to_string())
}

pub(super) fn read_resource_id(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= KEY_LIMIT && !text.contains('\0');
    if fits { Ok(text.to_owned()) } else { Err(format!("must have 1 to {KEY_LIMIT} characters")) }
}

pub(super) fn read_answer(text: &str) -> Result<Answer, String> {
    if text == "hang" {
        return Ok(Answer::Hang);
    }
    let status = text.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
    let status = status.filter(|status| status.as_u16() >= 200);
    status.map(Answer::Status).ok_or_else(|| "must be a status from 200 to 999, or hang".to_owned())
}

pub(super) fn read_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "must be a time such as 2026-01-19T10:30:00Z".to_owned())
}

pub(super) fn read_name(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_LIMIT).contains(&text.trim().chars().count());
    if fits { Ok(text.to_owned()) } else { Err(format!("must have 1 to {NAME_LIMIT} characters")) }
}

pub(super) fn read_role(text: &str) -> Result<Role, String> {
    Role::named(text).ok_or_else(|| format!("is none of {}", Role::ALL.map(Role::name).join(", ")))
}

pub(super) fn read_user_name(text: &str) -> Result<String, String> {
    let refused = || format!("must have 1 to {USER_NAME_LIMIT} letters, digits or any of ._-+@");
    is_user_name(text).then(|| text.to_owned()).ok_or_else(refused)
}

pub(super) fn read_scope(text: &str) -> Result<Scope, String> {
    Scope::named(text.trim()).ok_or_else(|| "there are read, publish, manage, payloads and admin".to_owned())
}

pub(super) fn read_wait(text: &str) -> Result<Duration, String> {
    let wait = parse_duration(text).filter(|wait| !wait.is_zero());
    wait.ok_or_else(|| "must be a duration such as 12h or 90d".to_owned())
}
