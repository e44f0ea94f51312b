//! `/api/v1/events/`.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::time::Instant;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use postrider_core::catalogue::TenantCatalogue;
use postrider_core::cursor::{self, Listed};
use postrider_core::event::{EventDraft, KEY_LIMIT, METADATA_LIMIT, OneOff, resource_id_of};
use postrider_core::event_type::EventTypeName;
use postrider_core::json::compact;
use postrider_core::{EventId, SubscriptionId, Timestamp};
use postrider_store::{EventFilter, EventView, Receipt, StatusCounts, Urgency};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::path_id;
use super::webhooks::{read_profile, read_url};
use crate::auth::{Caller, Manage, Publish, Read};
use crate::body::JsonBody;
use crate::fields::{self, Fields, name_up_to, object, text, time};
use crate::params::{Params, Path};
use crate::problem::{Problem, ProblemBody};
use crate::sight::Sight;
use crate::state::Api;
use crate::views::DeliveryJson;
use crate::{json, measure, traces};

/// Most events of one batch.
const BATCH_LIMIT: usize = 1000;

#[derive(Serialize)]
struct ReceiptJson {
    id: EventId,
    event_type: String,
    created_at: Timestamp,
    deliveries: i64,
    duplicate: bool,
}

impl From<Receipt> for ReceiptJson {
    fn from(receipt: Receipt) -> Self {
        let Receipt { id, event_type, created_at, deliveries, duplicate } = receipt;
        Self { id, event_type, created_at, deliveries, duplicate }
    }
}

/// What became of one event of a batch.
#[derive(Serialize)]
#[serde(untagged)]
enum ResultJson<'a> {
    Taken(&'a ReceiptJson),
    Refused { error: ProblemBody<'a> },
}

impl<'a> ResultJson<'a> {
    fn of(result: &'a Result<ReceiptJson, Problem>) -> Self {
        match result {
            Ok(receipt) => Self::Taken(receipt),
            Err(problem) => Self::Refused { error: problem.body(None) },
        }
    }
}

/// The header of that name, if there is one.
pub(crate) struct IdempotencyKey(Option<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get("idempotency-key").cloned()))
    }
}

/// Publishes one event.
pub(crate) async fn publish(
    State(api): State<Api>,
    Publish(caller): Publish,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let read = |catalogue: &TenantCatalogue| vec![read_draft(&body, &api, catalogue)];
    let mut draft = read_drafts(&api, caller, read).await?.pop().ok_or_else(Problem::internal)??;
    if let Some(key) = key {
        draft.idempotency_key = Some(key_of_header(&key, draft.idempotency_key.as_deref())?);
    }
    api.quotas.check_pending(caller.tenant_id, &api).await?;
    api.turns.published(caller.tenant_id, api.world.now());
    let begun = Instant::now();
    let mut results = api.journal.publish(caller.tenant_id, vec![draft], Urgency::Pressing).await;
    measure::accepted(begun.elapsed());
    let receipt = results.pop().ok_or_else(Problem::internal)??;
    let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(json::answer(status, &ReceiptJson::from(receipt)))
}

fn key_of_header(value: &HeaderValue, in_body: Option<&str>) -> Result<String, Problem> {
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_LIMIT);
    let wrong = || Problem::invalid_field("Idempotency-Key", format!("must be 1 to {KEY_LIMIT} ASCII characters"));
    let key = key.ok_or_else(wrong)?;
    if in_body.is_some_and(|other| other != key) {
        return Err(Problem::invalid_field("idempotency_key", "differs from the Idempotency-Key header"));
    }
    Ok(key.to_owned())
}

/// Publishes many events; each stands for itself.
pub(crate) async fn publish_batch(
    State(api): State<Api>,
    Publish(caller): Publish,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    if key.is_some() {
        let why = "is for one event; give each event of a batch an idempotency_key of its own";
        return Err(Problem::invalid_field("Idempotency-Key", why));
    }
    let mut fields = Fields::parse(&body)?;
    let events = fields.required("events", read_batch);
    let events = events.take(&fields.finish()?);
    api.quotas.check_pending(caller.tenant_id, &api).await?;
    let mut results = Vec::with_capacity(events.len());
    while results.len() < events.len() {
        let rest = &events[results.len()..];
        let turn = api.turns.take(caller.tenant_id, rest.len(), api.world.now()).await;
        let some = &rest[..turn.events];
        match publish_some(&api, caller, some, turn.urgency()).await {
            Ok(more) => results.extend(more),
            Err(problem) if results.is_empty() => return Err(problem),
            // What was taken before this must be told.
            Err(problem) => results.extend(some.iter().map(|_| Err(problem.clone()))),
        }
    }
    let shown: Vec<ResultJson<'_>> = results.iter().map(ResultJson::of).collect();
    Ok(json::answer(StatusCode::ACCEPTED, &BTreeMap::from([("results", shown)])))
}

/// Publishes some events of a batch.
async fn publish_some(
    api: &Api,
    caller: Caller,
    events: &[&RawValue],
    urgency: Urgency,
) -> Result<Vec<Result<ReceiptJson, Problem>>, Problem> {
    let read_all = |catalogue: &TenantCatalogue| {
        events.iter().map(|event| read_draft(event.get().as_bytes(), api, catalogue)).collect()
    };
    let read = read_drafts(api, caller, read_all).await?;
    let drafts: Vec<EventDraft> = read.iter().filter_map(|draft| draft.as_ref().ok().cloned()).collect();
    let begun = Instant::now();
    let mut published = api.journal.publish(caller.tenant_id, drafts, urgency).await.into_iter();
    measure::accepted(begun.elapsed());
    let result = |draft: Result<EventDraft, Problem>| {
        draft?;
        let receipt = published.next().ok_or_else(Problem::internal)??;
        Ok(ReceiptJson::from(receipt))
    };
    Ok(read.into_iter().map(result).collect())
}

fn read_batch(raw: &RawValue) -> Result<Vec<&RawValue>, String> {
    let wrong = || format!("must be a list of 1 to {BATCH_LIMIT} events");
    let events: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    if (1..=BATCH_LIMIT).contains(&events.len()) { Ok(events) } else { Err(wrong()) }
}

/// Reads with the catalogue from memory; again with the newest, if something was wrong and somebody has
/// changed it since: a type may have been made elsewhere just now.
async fn read_drafts(
    api: &Api,
    caller: Caller,
    read: impl Fn(&TenantCatalogue) -> Vec<Result<EventDraft, Problem>>,
) -> Result<Vec<Result<EventDraft, Problem>>, Problem> {
    let known = api.catalogue.snapshot(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let drafts = read(&known);
    if drafts.iter().all(Result::is_ok) {
        return Ok(drafts);
    }
    let newest = api.catalogue.newest_snapshot(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    Ok(if newest.version() == known.version() { drafts } else { read(&newest) })
}

fn read_draft(body: &[u8], api: &Api, catalogue: &TenantCatalogue) -> Result<EventDraft, Problem> {
    let mut fields = Fields::parse(body)?;
    let event_type = fields.required("event_type", |raw| publishable(raw, catalogue));
    let payload = fields.required("payload", compact_object);
    let idempotency_key = fields.optional("idempotency_key", name_up_to(KEY_LIMIT));
    let occurred_at = fields.optional("occurred_at", time);
    let expires_at = fields.optional("expires_at", time);
    let resource_id = fields.optional("resource_id", name_up_to(KEY_LIMIT));
    let metadata = fields.optional("metadata", read_metadata);
    let one_off = read_one_off(&mut fields, api);
    let checked = fields.finish()?;
    let payload = payload.take(&checked);
    let resource_id = resource_id.or_else(|| resource_id_of(&payload));
    Ok(EventDraft {
        event_type: event_type.take(&checked),
        payload: payload.into(),
        occurred_at,
        expires_at,
        resource_id,
        metadata: metadata.map(Into::into),
        idempotency_key,
        one_off,
        trace_context: traces::current(),
    })
}

/// Where this one event goes besides the subscriptions.
fn read_one_off(fields: &mut Fields<'_>, api: &Api) -> Option<OneOff> {
    let is_given = fields.has("webhook_url");
    let url = fields.optional("webhook_url", |raw| read_url(raw, &api.url_policy));
    let profile = fields.optional_beside("profile", "webhook_url", is_given, |raw| read_profile(raw, &api.profiles));
    url.map(|url| OneOff { url, profile })
}

/// The publisher's own data.
pub(super) fn read_metadata(raw: &RawValue) -> Result<String, String> {
    let metadata = compact_object(raw)?;
    let is_small = metadata.len() <= METADATA_LIMIT;
    if is_small { Ok(metadata) } else { Err(format!("must have at most {METADATA_LIMIT} bytes")) }
}

pub(super) fn compact_object(raw: &RawValue) -> Result<String, String> {
    compact(object(raw)?.get()).map_err(|refusal| refusal.to_string())
}

fn publishable(raw: &RawValue, catalogue: &TenantCatalogue) -> Result<EventTypeName, String> {
    let name = known_type(raw, catalogue)?;
    if name.is_special() { Err(format!("`{name}` cannot be published")) } else { Ok(name) }
}

/// A type of the tenant's catalogue; the nearest ones are named if it is not.
pub(super) fn known_type(raw: &RawValue, catalogue: &TenantCatalogue) -> Result<EventTypeName, String> {
    let given = text(raw)?;
    if let Some(name) = EventTypeName::parse(&given).filter(|name| catalogue.knows(name)) {
        return Ok(name);
    }
    let suggestions = catalogue.suggestions(&given);
    if suggestions.is_empty() {
        return Err("is not in the catalogue; GET /api/v1/event-types/ lists it".to_owned());
    }
    Err(format!("is not in the catalogue; did you mean {}?", suggestions.join(", ")))
}

/// An event as people see it.
#[derive(Serialize)]
struct EventJson {
    id: EventId,
    event_type: String,
    resource_id: Option<String>,
    idempotency_key: Option<String>,
    created_at: Timestamp,
    occurred_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    metadata: Box<RawValue>,
    webhook_url: Option<String>,
    profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    delivery_counts: CountsJson,
    deliveries: Vec<DeliveryJson>,
    /// More than are shown: `GET /api/v1/deliveries/?event_id=` lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries_omitted: Option<i64>,
}

#[derive(Serialize)]
struct CountsJson {
    pending: i64,
    delivered: i64,
    failed: i64,
    discarded: i64,
}

impl EventJson {
    fn new(event: EventView, payload: Option<Box<RawValue>>, deliveries: Vec<DeliveryJson>) -> Result<Self, Problem> {
        let counts = event.counts;
        let made = counts.total();
        let shown = i64::try_from(deliveries.len()).unwrap_or(i64::MAX);
        Ok(Self {
            id: event.id,
            event_type: event.event_type,
            resource_id: event.resource_id,
            idempotency_key: event.idempotency_key,
            created_at: event.created_at,
            occurred_at: event.occurred_at,
            expires_at: event.expires_at,
            metadata: json::raw(event.metadata)?,
            webhook_url: event.one_off.as_ref().map(|one_off| one_off.url.to_string()),
            profile: event.one_off.and_then(|one_off| one_off.profile),
            payload,
            delivery_counts: CountsJson {
                pending: counts.pending,
                delivered: counts.delivered,
                failed: counts.failed,
                discarded: counts.discarded,
            },
            deliveries,
            deliveries_omitted: (made > shown).then_some(made - shown),
        })
    }
}

/// Events, newest first.
pub(crate) async fn list(State(api): State<Api>, Read(caller): Read, mut params: Params) -> Result<Response, Problem> {
    let filter = EventFilter {
        event_type: params.text("event_type"),
        resource_id: params.text("resource_id"),
        subscription_id: params.id("webhook_id"),
        callback_id: params.id("callback_id"),
        status: params.status(),
        since: params.time("since"),
        until: params.time("until"),
    };
    let page = params.page();
    params.finish()?;
    let Listed { items: found, next } = api.journal.events(caller.tenant_id, &filter, page).await?;
    let ids: Vec<EventId> = found.iter().map(|event| event.id).collect();
    let mut deliveries: HashMap<EventId, Vec<DeliveryJson>> = HashMap::new();
    for view in api.journal.deliveries_of_each(caller.tenant_id, &ids).await? {
        deliveries.entry(view.delivery.event_id).or_default().push(DeliveryJson::item(view));
    }
    let events: Vec<EventJson> = found
        .into_iter()
        .map(|event| {
            let own = deliveries.remove(&event.id).unwrap_or_default();
            EventJson::new(event, None, own)
        })
        .collect::<Result<_, _>>()?;
    Ok(json::list("events", &events, Some(next.map(cursor::encode))))
}

/// One event with its payload, and its deliveries with their attempts.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(id): Path) -> Result<Response, Problem> {
    let id = path_id(&id)?;
    let mut event = api.journal.event(caller.tenant_id, id).await?.ok_or_else(Problem::not_found)?;
    let sight = Sight::of(caller, &api).await?;
    let payload = sight.payload(event.payload.take())?;
    let deliveries = api.journal.deliveries_of(caller.tenant_id, id).await?;
    // Something may have ended between the two reads: what is shown whole is counted as it is shown.
    if i64::try_from(deliveries.len()).is_ok_and(|shown| shown == event.counts.total()) {
        event.counts = StatusCounts::default();
        deliveries.iter().for_each(|view| event.counts.add(view.delivery.state, 1));
    }
    let deliveries = deliveries.into_iter().map(|view| DeliveryJson::whole(view, &sight)).collect::<Result<_, _>>()?;
    Ok(json::ok(&EventJson::new(event, Some(payload), deliveries)?))
}

/// Opens an event's deliveries again, or the one to a subscription.
pub(crate) async fn replay(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id: EventId = path_id(&id)?;
    let mut fields = Fields::parse(&body)?;
    let webhook_id: Option<SubscriptionId> = fields.optional("webhook_id", fields::id);
    fields.finish()?;
    let deliveries = api.journal.replay(caller.tenant_id, id, webhook_id).await?;
    Ok(json::answer(StatusCode::ACCEPTED, &json!({"event_id": id, "deliveries": deliveries})))
}
