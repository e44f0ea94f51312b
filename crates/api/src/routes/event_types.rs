//! `/api/v1/event-types/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::event_type::{self, EventType, EventTypeName};
use postrider_store::TypeChange;
use serde_json::json;
use serde_json::value::RawValue;

use crate::auth::{Manage, Read};
use crate::body::JsonBody;
use crate::fields::{Fields, name_up_to, text, text_up_to};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

/// Longest group and description, in characters.
const GROUP_LIMIT: usize = 128;
const DESCRIPTION_LIMIT: usize = 1024;

/// Most types of a tenant's own.
const OWN_LIMIT: usize = 1000;

/// The group of a tenant's own types, unless said otherwise.
const OWN_GROUP: &str = "Custom";

/// The catalogue, group by group: the formats' types and the tenant's own. All of it, unless a limit
/// is given.
pub(crate) async fn list(State(api): State<Api>, Read(caller): Read, mut params: Params) -> Result<Response, Problem> {
    let search = params.text("search").unwrap_or_default();
    let names = api.profiles.names().collect::<Vec<_>>().join(", ");
    let known = |name: &str| api.profiles.named(name).map(|profile| profile.name.clone());
    let profile = params.read("profile", &format!("one of {names}"), known);
    let place = params.place();
    params.finish()?;
    let own = api.catalogue.custom_event_types(caller.tenant_id).await?;
    let is_wanted = |known: &&EventType| {
        profile.as_ref().is_none_or(|wanted| known.profile.as_ref() == Some(wanted)) && known.is_found_by(&search)
    };
    let wanted: Vec<&EventType> = api.profiles.event_types().iter().chain(&own).filter(is_wanted).collect();
    // A name may stand in two groups.
    let key = |known: &&EventType| format!("{:?}/{}/{}", known.profile, known.group, known.name);
    let (page, next_cursor) = place.page(wanted, key);
    Ok(json::list("event_types", &page, Some(next_cursor)))
}

/// Adds a type of the tenant's own.
pub(crate) async fn create(
    State(api): State<Api>,
    Manage(caller): Manage,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let name = fields.required("name", read_name);
    let group = fields.optional("group", name_up_to(GROUP_LIMIT));
    let description = fields.optional("description", text_up_to(DESCRIPTION_LIMIT));
    let name = name.take(&fields.finish()?);
    if api.profiles.has_type(&name) {
        return Err(Problem::conflict("There is a built-in event type of that name."));
    }
    let event_type = EventType {
        name,
        group: group.unwrap_or_else(|| OWN_GROUP.to_owned()),
        description: description.unwrap_or_default(),
        profile: None,
        custom: true,
    };
    if api.catalogue.custom_event_types(caller.tenant_id).await?.len() >= OWN_LIMIT {
        return Err(Problem::conflict(format!("A tenant has at most {OWN_LIMIT} event types of its own.")));
    }
    if !api.catalogue.create_event_type(caller.tenant_id, event_type.clone()).await? {
        return Err(Problem::conflict("There is an event type of that name."));
    }
    Ok(json::answer(StatusCode::CREATED, &event_type))
}

fn read_name(raw: &RawValue) -> Result<EventTypeName, String> {
    let wrong = format!("must be 1 to {} letters, digits, dots or underscores", event_type::NAME_LIMIT);
    EventTypeName::parse(&text(raw)?).ok_or(wrong)
}

/// Changes the group or the description of one.
pub(crate) async fn update(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(name): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    fields.refuse("name", "cannot be changed; make a new event type");
    let group = fields.optional("group", name_up_to(GROUP_LIMIT));
    let description = fields.optional("description", text_up_to(DESCRIPTION_LIMIT));
    fields.finish()?;
    let name = own_name(&api, &name)?;
    let change = TypeChange { group, description };
    let changed = api.catalogue.update_event_type(caller.tenant_id, &name, change).await?;
    Ok(json::ok(&changed.ok_or_else(Problem::not_found)?))
}

/// Deletes one that no subscription uses.
pub(crate) async fn delete(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(name): Path,
) -> Result<Response, Problem> {
    let name = own_name(&api, &name)?;
    let subscriptions = api.catalogue.subscriptions(caller.tenant_id, None).await?;
    if subscriptions.iter().any(|(subscription, _)| subscription.event_type == name) {
        return Err(Problem::conflict("Webhooks subscribe to this event type; delete them first."));
    }
    if !api.catalogue.delete_event_type(caller.tenant_id, &name).await? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&json!({"message": "Event type deleted successfully"})))
}

/// The name in a path; built-in types cannot be changed.
fn own_name(api: &Api, text: &str) -> Result<EventTypeName, Problem> {
    let name = EventTypeName::parse(text).ok_or_else(Problem::not_found)?;
    if api.profiles.has_type(&name) {
        return Err(Problem::conflict("Built-in event types cannot be changed."));
    }
    Ok(name)
}
