//! `/api/v1/deliveries/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::cursor;
use postrider_store::DeliveryFilter;

use super::path_id;
use crate::auth::{Manage, Read};
use crate::body::JsonBody;
use crate::fields::Fields;
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::sight::Sight;
use crate::state::Api;
use crate::views::DeliveryJson;

/// Deliveries, newest first.
pub(crate) async fn list(State(api): State<Api>, Read(caller): Read, mut params: Params) -> Result<Response, Problem> {
    let filter = DeliveryFilter {
        event_id: params.id("event_id"),
        event_type: params.text("event_type"),
        subscription_id: params.id("webhook_id"),
        callback_id: params.id("callback_id"),
        status: params.status(),
        since: params.time("since"),
        until: params.time("until"),
    };
    let page = params.page();
    params.finish()?;
    let found = api.journal.deliveries(caller.tenant_id, &filter, page).await?;
    let next_cursor = found.next.map(cursor::encode);
    let deliveries: Vec<DeliveryJson> = found.items.into_iter().map(DeliveryJson::item).collect();
    Ok(json::list("deliveries", &deliveries, Some(next_cursor)))
}

/// One delivery with its attempts.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(id): Path) -> Result<Response, Problem> {
    let found = api.journal.delivery(caller.tenant_id, path_id(&id)?).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    Ok(json::ok(&DeliveryJson::whole(found, &Sight::of(caller, &api).await?)?))
}

/// Opens an ended delivery again.
pub(crate) async fn retry(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    Fields::parse(&body)?.finish()?;
    let opened = api.journal.retry(caller.tenant_id, path_id(&id)?).await?;
    Ok(json::answer(StatusCode::ACCEPTED, &DeliveryJson::whole(opened, &Sight::of(caller, &api).await?)?))
}
