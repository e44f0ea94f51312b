//! `/api/v1/webhooks/`: subscriptions, as the published document has them.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::cursor::Page;
use postrider_core::event_type::EventTypeName;
use postrider_core::filter::Filter;
use postrider_core::headers::{HeaderList, HeaderRefusal, StaticHeaders};
use postrider_core::profile::Profiles;
use postrider_core::schedule::RetrySchedule;
use postrider_core::secret::{Secrets, SigningSecret};
use postrider_core::subscription::{
    AttemptTimeout, DEFAULT_OVERLAP, DESCRIPTION_LIMIT, MAX_OVERLAP, Settings, Subscription, TargetStats,
};
use postrider_core::target_url::{TargetUrl, UrlPolicy};
use postrider_core::{SubscriptionId, Timestamp};
use postrider_store::{NewSubscription, Rotation, SettingsChange, TimeoutChange};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::events::{compact_object, known_type};
use super::path_id;
use crate::auth::{Manage, Read};
use crate::body::JsonBody;
use crate::fields::{Fields, boolean, integer, text, text_map, text_up_to};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

/// A subscription as people see it.
#[derive(Serialize)]
struct WebhookJson<'a> {
    id: SubscriptionId,
    event_type: &'a EventTypeName,
    webhook_url: &'a str,
    is_active: bool,
    description: &'a str,
    filters: Box<RawValue>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    stats: StatsJson,
    last_triggered_at: Option<Timestamp>,
    filtered_events: i64,
    profile: &'a str,
    retry_schedule: &'a [u32],
    timeout_seconds: i64,
    headers: HeaderList,
}

/// Deliveries that reached an end.
#[derive(Serialize)]
pub(super) struct StatsJson {
    total_deliveries: i64,
    successful_deliveries: i64,
    failed_deliveries: i64,
}

impl From<TargetStats> for StatsJson {
    fn from(stats: TargetStats) -> Self {
        Self {
            total_deliveries: stats.successful + stats.failed,
            successful_deliveries: stats.successful,
            failed_deliveries: stats.failed,
        }
    }
}

impl<'a> WebhookJson<'a> {
    /// As an item of a list, where the document shows no `updated_at`.
    fn item(api: &Api, subscription: &'a Subscription, stats: TargetStats) -> Result<Self, Problem> {
        let settings = &subscription.settings;
        let profiles_timeout = || api.profiles.named(&settings.profile).map(|profile| profile.timeout);
        Ok(Self {
            id: subscription.id,
            event_type: &subscription.event_type,
            webhook_url: settings.url.as_str(),
            is_active: settings.is_active,
            description: &settings.description,
            filters: json::raw(Some(settings.filters.source().to_owned()))?,
            created_at: subscription.created_at,
            updated_at: None,
            stats: StatsJson::from(stats),
            last_triggered_at: stats.last_triggered_at,
            filtered_events: stats.filtered,
            profile: &settings.profile,
            retry_schedule: settings.retry_schedule.seconds(),
            timeout_seconds: settings.timeout.or_else(profiles_timeout).unwrap_or_default().seconds(),
            headers: settings.headers.masked(),
        })
    }

    fn whole(api: &Api, subscription: &'a Subscription, stats: TargetStats) -> Result<Self, Problem> {
        Ok(Self { updated_at: Some(subscription.updated_at), ..Self::item(api, subscription, stats)? })
    }
}

/// Makes a subscription. Its secret is in this answer and in no other.
pub(crate) async fn create(
    State(api): State<Api>,
    Manage(caller): Manage,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let catalogue = api.catalogue.newest_snapshot(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let mut fields = Fields::parse(&body)?;
    let event_type = fields.required("event_type", |raw| known_type(raw, &catalogue));
    let url = fields.required("webhook_url", |raw| read_url(raw, &api.url_policy));
    let change = read_settings(&api, &mut fields);
    let checked = fields.finish()?;
    api.quotas.check_webhooks(&catalogue)?;
    let settings = change.apply(&defaults(url.take(&checked), catalogue.default_profile()));
    let secret = SigningSecret::generate(&api.world);
    let new = NewSubscription {
        tenant_id: caller.tenant_id,
        event_type: event_type.take(&checked),
        settings,
        secrets: Secrets::new(secret.clone()),
        most_literals: api.quotas.most_literals(),
    };
    let made = api.catalogue.create_subscription(new).await?;
    let answer = json!({
        "id": made.id,
        "event_type": made.event_type,
        "webhook_url": made.settings.url.as_str(),
        "secret_key": secret.reveal(),
        "message": "Webhook created successfully",
    });
    Ok(json::answer(StatusCode::CREATED, &answer))
}

fn defaults(url: TargetUrl, profile: &str) -> Settings {
    Settings {
        url,
        is_active: true,
        description: String::new(),
        filters: Filter::everything(),
        profile: profile.to_owned(),
        retry_schedule: RetrySchedule::default(),
        timeout: None,
        headers: StaticHeaders::default(),
    }
}

/// The fields that can be chosen at creation and changed later, but for the URL.
fn read_settings(api: &Api, fields: &mut Fields<'_>) -> SettingsChange {
    SettingsChange {
        url: None,
        is_active: fields.optional("is_active", boolean),
        description: fields.optional("description", text_up_to(DESCRIPTION_LIMIT)),
        filters: fields.optional("filters", read_filters),
        profile: fields.optional("profile", |raw| read_profile(raw, &api.profiles)),
        retry_schedule: fields.optional("retry_schedule", read_schedule),
        timeout: fields.nullable("timeout_seconds", [TimeoutChange::Stays, TimeoutChange::OfProfile], |raw| {
            read_timeout(raw).map(TimeoutChange::Own)
        }),
        headers: fields.optional("headers", read_headers),
        most_literals: Some(api.quotas.most_literals()),
    }
}

pub(super) fn read_url(raw: &RawValue, policy: &UrlPolicy) -> Result<TargetUrl, String> {
    policy.judge(&text(raw)?).map_err(|refusal| refusal.to_string())
}

pub(super) fn read_filters(raw: &RawValue) -> Result<Filter, String> {
    Filter::compile(&compact_object(raw)?).map_err(|error| error.to_string())
}

pub(super) fn read_profile(raw: &RawValue, profiles: &Profiles) -> Result<String, String> {
    let name = text(raw)?;
    let known = profiles.named(&name).map(|profile| profile.name.clone());
    known.ok_or_else(|| format!("must be one of {}", profiles.names().collect::<Vec<_>>().join(", ")))
}

/// How long a former secret signs beside a new one.
pub(super) fn read_overlap(raw: &RawValue) -> Result<Duration, String> {
    let longest = i64::try_from(MAX_OVERLAP.as_secs()).unwrap_or(i64::MAX);
    integer(0, longest)(raw).map(|seconds| Duration::from_secs(seconds.unsigned_abs()))
}

fn read_schedule(raw: &RawValue) -> Result<RetrySchedule, String> {
    let schedule = serde_json::from_str(raw.get()).ok().and_then(RetrySchedule::new);
    let (entries, seconds) = (RetrySchedule::MAX_ENTRIES, RetrySchedule::MAX_SECONDS);
    schedule.ok_or_else(|| format!("must be a list of at most {entries} whole seconds from 1 to {seconds}"))
}

fn read_timeout(raw: &RawValue) -> Result<AttemptTimeout, String> {
    let seconds = integer(1, 30)(raw)?;
    AttemptTimeout::from_seconds(seconds).ok_or_else(|| "must be from 1 to 30".to_owned())
}

fn read_headers(raw: &RawValue) -> Result<StaticHeaders, String> {
    let joined = |refusals: Vec<HeaderRefusal>| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    StaticHeaders::new(text_map(raw)?).map_err(joined)
}

/// The tenant's subscriptions: all of them, or a page if one is asked for.
pub(crate) async fn list(State(api): State<Api>, Read(caller): Read, mut params: Params) -> Result<Response, Problem> {
    let page = params.page_if_given();
    params.finish()?;
    let mut found = api.catalogue.subscriptions(caller.tenant_id, page.map(Page::and_one)).await?;
    let next_cursor = page.map(|page| json::cut(&mut found, page, |(subscription, _)| subscription.id.uuid()));
    let webhooks = found
        .iter()
        .map(|(subscription, stats)| WebhookJson::item(&api, subscription, *stats))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json::list("webhooks", &webhooks, next_cursor))
}

/// One subscription.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(id): Path) -> Result<Response, Problem> {
    let found = api.catalogue.subscription(caller.tenant_id, path_id(&id)?).await?;
    let (subscription, stats) = found.ok_or_else(Problem::not_found)?;
    Ok(json::ok(&WebhookJson::whole(&api, &subscription, stats)?))
}

/// Changes what is given. What is pending goes on with the new settings.
pub(crate) async fn update(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id: SubscriptionId = path_id(&id)?;
    let mut fields = Fields::parse(&body)?;
    fields.refuse("event_type", "cannot be changed; make another webhook");
    let url = fields.optional("webhook_url", |raw| read_url(raw, &api.url_policy));
    let change = SettingsChange { url, ..read_settings(&api, &mut fields) };
    fields.finish()?;
    if !api.catalogue.update_subscription(caller.tenant_id, id, change).await? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&json!({"message": "Webhook updated", "id": id})))
}

/// Deletes a subscription; its log stays until retention.
pub(crate) async fn delete(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
) -> Result<Response, Problem> {
    if !api.catalogue.delete_subscription(caller.tenant_id, path_id(&id)?).await? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&json!({"message": "Webhook deleted successfully"})))
}

/// Puts a new secret in charge; the former one signs beside it for a while.
pub(crate) async fn rotate_secret(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id: SubscriptionId = path_id(&id)?;
    let mut fields = Fields::parse(&body)?;
    let overlap = fields.optional("overlap_seconds", read_overlap);
    fields.finish()?;
    let next = SigningSecret::generate(&api.world);
    let previous_until = api.world.now() + overlap.unwrap_or(DEFAULT_OVERLAP);
    let rotation = Rotation { next: next.clone(), previous_until };
    if !api.catalogue.rotate_secret(caller.tenant_id, id, rotation).await? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&json!({"id": id, "secret_key": next.reveal(), "previous_valid_until": previous_until})))
}
