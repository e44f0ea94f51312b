//! `/api/v1/callbacks/`: where the events of one resource go.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::callback::{Callback, PER_RESOURCE_LIMIT};
use postrider_core::catalogue::TenantCatalogue;
use postrider_core::event::KEY_LIMIT;
use postrider_core::event_type::{EventTypeName, TEST};
use postrider_core::secret::SigningSecret;
use postrider_core::subscription::{DEFAULT_OVERLAP, TargetStats};
use postrider_core::{CallbackId, Timestamp};
use postrider_store::{CallbackFilter, NewCallback, Rotation};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::events::{known_type, read_metadata};
use super::path_id;
use super::webhooks::{StatsJson, read_overlap, read_profile, read_url};
use crate::auth::{Manage, ManageOrPublish, Read};
use crate::body::JsonBody;
use crate::fields::{Fields, name_up_to};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

/// Most event types of one callback.
const TYPES_LIMIT: usize = 100;

/// A callback as people see it.
#[derive(Serialize)]
struct CallbackJson<'a> {
    id: CallbackId,
    resource_id: &'a str,
    webhook_url: &'a str,
    profile: &'a str,
    created_at: Timestamp,
    metadata: Box<RawValue>,
    event_types: Option<&'a [EventTypeName]>,
    stats: StatsJson,
    last_triggered_at: Option<Timestamp>,
}

impl<'a> CallbackJson<'a> {
    fn new(callback: &'a Callback, stats: TargetStats) -> Result<Self, Problem> {
        Ok(Self {
            id: callback.id,
            resource_id: &callback.resource_id,
            webhook_url: callback.url.as_str(),
            profile: &callback.profile,
            created_at: callback.created_at,
            metadata: json::raw(callback.metadata.as_deref().map(str::to_owned))?,
            event_types: callback.event_types.as_deref(),
            stats: StatsJson::from(stats),
            last_triggered_at: stats.last_triggered_at,
        })
    }
}

/// Makes a callback. It cannot be changed.
pub(crate) async fn create(
    State(api): State<Api>,
    ManageOrPublish(caller): ManageOrPublish,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let catalogue = api.catalogue.newest_snapshot(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let mut fields = Fields::parse(&body)?;
    let resource_id = fields.required("resource_id", name_up_to(KEY_LIMIT));
    let url = fields.required("webhook_url", |raw| read_url(raw, &api.url_policy));
    let profile = fields.optional("profile", |raw| read_profile(raw, &api.profiles));
    let metadata = fields.optional("metadata", read_metadata);
    let event_types = fields.optional("event_types", |raw| {
        let wrong = || format!("must be a list of 1 to {TYPES_LIMIT} event types");
        let names: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        if !(1..=TYPES_LIMIT).contains(&names.len()) {
            return Err(wrong());
        }
        read_types(&names, &catalogue)
    });
    let checked = fields.finish()?;
    let new = NewCallback {
        tenant_id: caller.tenant_id,
        resource_id: resource_id.take(&checked),
        url: url.take(&checked),
        profile: profile.unwrap_or_else(|| catalogue.default_profile().to_owned()),
        metadata: metadata.map(Into::into),
        event_types: event_types.filter(|names| !names.iter().any(EventTypeName::is_all)),
    };
    let too_many = || Problem::conflict(format!("A resource has at most {PER_RESOURCE_LIMIT} callbacks."));
    let made = api.catalogue.create_callback(new).await?.ok_or_else(too_many)?;
    let answer = json!({
        "id": made.id,
        "resource_id": made.resource_id,
        "webhook_url": made.url.as_str(),
        "profile": made.profile,
        "created_at": made.created_at,
    });
    Ok(json::answer(StatusCode::CREATED, &answer))
}

/// Types that can happen, each once; every wrong one is named.
fn read_types(names: &[&RawValue], catalogue: &TenantCatalogue) -> Result<Vec<EventTypeName>, String> {
    let (mut types, mut wrong): (Vec<EventTypeName>, Vec<String>) = Default::default();
    for name in names {
        match known_type(name, catalogue) {
            Ok(known) if known.as_str() == TEST => wrong.push(format!("{name}: is never published")),
            Ok(known) if types.contains(&known) => {}
            Ok(known) => types.push(known),
            Err(message) => wrong.push(format!("{name}: {message}")),
        }
    }
    if wrong.is_empty() { Ok(types) } else { Err(wrong.join("; ")) }
}

/// The tenant's callbacks, newest first.
pub(crate) async fn list(State(api): State<Api>, Read(caller): Read, mut params: Params) -> Result<Response, Problem> {
    let filter = CallbackFilter { resource_id: params.text("resource_id") };
    let page = params.page();
    params.finish()?;
    let mut found = api.catalogue.callbacks(caller.tenant_id, &filter, page.and_one()).await?;
    let next_cursor = json::cut(&mut found, page, |(callback, _)| callback.id.uuid());
    let callbacks =
        found.iter().map(|(callback, stats)| CallbackJson::new(callback, *stats)).collect::<Result<Vec<_>, _>>()?;
    Ok(json::list("callbacks", &callbacks, Some(next_cursor)))
}

/// One callback.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(id): Path) -> Result<Response, Problem> {
    let found = api.catalogue.callback(caller.tenant_id, path_id(&id)?).await?;
    let (callback, stats) = found.ok_or_else(Problem::not_found)?;
    Ok(json::ok(&CallbackJson::new(&callback, stats)?))
}

/// Deletes a callback; its log stays until retention.
pub(crate) async fn delete(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
) -> Result<Response, Problem> {
    if !api.catalogue.delete_callback(caller.tenant_id, path_id(&id)?).await? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&json!({"message": "Callback deleted successfully"})))
}

/// Puts a new secret in charge of what goes to callbacks and one-off URLs in one format; makes the first.
pub(crate) async fn rotate_secret(
    State(api): State<Api>,
    Manage(caller): Manage,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let profile = fields.required("profile", |raw| read_profile(raw, &api.profiles));
    let overlap = fields.optional("overlap_seconds", read_overlap);
    let profile = profile.take(&fields.finish()?);
    let overlap: Duration = overlap.unwrap_or(DEFAULT_OVERLAP);
    let next = SigningSecret::generate(&api.world);
    let previous_until = api.world.now() + overlap;
    let rotation = Rotation { next: next.clone(), previous_until };
    let had_one = api.catalogue.rotate_callback_secret(caller.tenant_id, &profile, rotation).await?;
    let previous_valid_until = had_one.then_some(previous_until);
    let secret_key = next.reveal();
    Ok(json::ok(&json!({"profile": profile, "secret_key": secret_key, "previous_valid_until": previous_valid_until})))
}
