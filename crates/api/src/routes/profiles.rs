//! `/api/v1/profiles/`: the wire formats.

use axum::extract::State;
use axum::response::Response;
use postrider_core::event::{Event, EventDraft, KEY_LIMIT, resource_id_of};
use postrider_core::event_type::EventTypeName;
use postrider_core::headers::HeaderList;
use postrider_core::profile::{Example, Outbound, Profile, Unfit};
use postrider_core::secret::{Secrets, SigningSecret};
use postrider_core::signature::Scheme;
use postrider_core::{DeliveryId, EventId};
use serde::Serialize;
use serde_json::value::RawValue;

use super::events::{compact_object, known_type};
use crate::auth::{Caller, Read};
use crate::body::JsonBody;
use crate::fields::{Fields, name_up_to, text, time};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

/// Signs previews, unless another is given. Published, so it protects nothing: with a real secret a
/// preview would sign whatever somebody wants signed.
const PREVIEW_SECRET: &str = "whsec_UG9zdHJpZGVyLXByZXZpZXctc2VjcmV0LW9mLW5vYm9keQ==";

/// A format, in lists without its long parts.
#[derive(Serialize)]
struct ProfileJson<'a> {
    name: &'a str,
    title: &'a str,
    summary: &'a str,
    signature: &'static str,
    timeout_seconds: i64,
    heeds_retry_after: bool,
    gone_deactivates: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_types: Option<Vec<GroupJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    examples: Option<Vec<ExampleJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

#[derive(Serialize)]
struct GroupJson<'a> {
    group: &'a str,
    names: Vec<&'a EventTypeName>,
}

#[derive(Serialize)]
struct ExampleJson<'a> {
    event_type: &'a EventTypeName,
    payload: Box<RawValue>,
    metadata: Box<RawValue>,
}

impl<'a> ProfileJson<'a> {
    fn item(profile: &'a Profile) -> Self {
        Self {
            name: &profile.name,
            title: &profile.title,
            summary: &profile.summary,
            signature: profile.scheme().name(),
            timeout_seconds: profile.timeout.seconds(),
            heeds_retry_after: profile.answer_rules.retry_after,
            gone_deactivates: profile.answer_rules.gone,
            event_types: None,
            examples: None,
            source: None,
        }
    }

    fn whole(profile: &'a Profile) -> Result<Self, Problem> {
        let groups = profile.groups.iter().map(|group| GroupJson {
            group: &group.name,
            names: group.event_types.iter().map(|(name, _)| name).collect(),
        });
        let example = |example: &'a Example| {
            Ok(ExampleJson {
                event_type: &example.event_type,
                payload: json::raw(Some(example.payload.clone()))?,
                metadata: json::raw(example.metadata.clone())?,
            })
        };
        Ok(Self {
            event_types: Some(groups.collect()),
            examples: Some(profile.examples.iter().map(example).collect::<Result<_, Problem>>()?),
            source: Some(&profile.source),
            ..Self::item(profile)
        })
    }
}

/// All formats, the published ones first.
pub(crate) async fn list(State(api): State<Api>, _: Read, mut params: Params) -> Result<Response, Problem> {
    let place = params.place();
    params.finish()?;
    let all: Vec<ProfileJson<'_>> = api.profiles.iter().map(|profile| ProfileJson::item(profile)).collect();
    let (page, next_cursor) = place.page(all, |profile| profile.name.to_owned());
    Ok(json::list("profiles", &page, Some(next_cursor)))
}

/// One format with its file.
pub(crate) async fn get(State(api): State<Api>, _: Read, Path(name): Path) -> Result<Response, Problem> {
    let profile = api.profiles.named(&name).ok_or_else(Problem::not_found)?;
    Ok(json::ok(&ProfileJson::whole(profile)?))
}

#[derive(Serialize)]
struct PreviewJson<'a> {
    profile: &'a str,
    event_type: &'a EventTypeName,
    would_be_sent: bool,
    reason: Option<String>,
    method: &'static str,
    headers: HeaderList,
    body: String,
    signed_with: Option<&'a str>,
}

/// What would be sent of an event: a given one, or the format's example.
pub(crate) async fn preview(
    State(api): State<Api>,
    Read(caller): Read,
    Path(name): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let profile = api.profiles.named(&name).ok_or_else(Problem::not_found)?;
    let (draft, secret) = read_preview(&api, caller, profile, &body).await?;
    let now = api.world.now();
    let event = Event { id: api.world.new_id_at::<EventId>(now), tenant_id: caller.tenant_id, created_at: now, draft };
    let delivery_id = api.world.new_id_at::<DeliveryId>(now);
    let outbound = Outbound { event: &event, metadata: event.draft.metadata.as_deref(), delivery_id, attempt: 1 };
    let secrets = Secrets::new(secret.clone());
    let (prepared, reason) = match profile.prepare(&outbound, Some(&secrets), now) {
        Ok(prepared) => (Some(prepared), None),
        Err(Unfit::Condition(unmet)) => (None, Some(format!("profile_condition: {unmet}"))),
        Err(Unfit::Misfit(misfit)) => return Err(Problem::invalid_field(&misfit.field, misfit.problem)),
    };
    let headers = prepared.iter().flat_map(|prepared| &prepared.headers);
    let headers = headers.map(|(name, value)| (name, value.as_bytes())).collect();
    let body = prepared.as_ref().map(|prepared| String::from_utf8_lossy(&prepared.body).into_owned());
    Ok(json::ok(&PreviewJson {
        profile: &profile.name,
        event_type: &event.draft.event_type,
        would_be_sent: prepared.is_some(),
        reason,
        method: "POST",
        headers,
        body: body.unwrap_or_default(),
        signed_with: (prepared.is_some() && *profile.scheme() != Scheme::None).then(|| secret.reveal()),
    }))
}

async fn read_preview(
    api: &Api,
    caller: Caller,
    profile: &Profile,
    body: &[u8],
) -> Result<(EventDraft, SigningSecret), Problem> {
    let catalogue = api.catalogue.newest_snapshot(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let mut fields = Fields::parse(body)?;
    let event_type = fields.optional("event_type", |raw| known_type(raw, &catalogue));
    let payload = fields.optional("payload", compact_object);
    let metadata = fields.optional("metadata", compact_object);
    let resource_id = fields.optional("resource_id", name_up_to(KEY_LIMIT));
    let occurred_at = fields.optional("occurred_at", time);
    let secret = fields.optional("secret_key", read_secret);
    fields.finish()?;
    let first = profile.examples.first().ok_or_else(Problem::internal)?;
    let example = event_type.as_ref().and_then(|event_type| profile.example_of(event_type)).unwrap_or(first);
    let is_given = payload.is_some();
    let event_type = event_type.unwrap_or_else(|| example.event_type.clone());
    let payload = payload.unwrap_or_else(|| example.payload.clone());
    let metadata = metadata.or_else(|| example.metadata.clone().filter(|_| !is_given));
    let secret = secret.or_else(|| SigningSecret::parse(PREVIEW_SECRET)).ok_or_else(Problem::internal)?;
    let draft = EventDraft {
        metadata: metadata.map(Into::into),
        resource_id: resource_id.or_else(|| resource_id_of(&payload)),
        occurred_at,
        ..EventDraft::new(event_type, payload.into())
    };
    Ok((draft, secret))
}

fn read_secret(raw: &RawValue) -> Result<SigningSecret, String> {
    SigningSecret::parse(&text(raw)?).ok_or_else(|| "must be `whsec_` and base64".to_owned())
}
