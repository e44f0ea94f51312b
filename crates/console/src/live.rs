//! Tells open pages when what they show has changed (server-sent events, HTML Living Standard, section 9.2).

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::fault::Fault;
use crate::visit::{Visit, segment};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How long one stream lasts; the browser asks again.
const LOOKS: u32 = 600;

/// One page that is told.
struct Watch {
    visit: Visit,
    path: String,
    known: Value,
    looks: u32,
    _place: OwnedSemaphorePermit,
}

/// Says `changed` whenever the newest deliveries, those of an event, or a replay are not what they were.
pub(crate) async fn stream(mut visit: Visit) -> Result<Response, Fault> {
    let place = visit.place_for_live()?;
    visit.by_itself();
    let path = match visit.parameter("replay_id") {
        Some(id) => format!("/api/v1/replays/{}", segment(&id)),
        // By these, no list is long to find.
        None => format!("/api/v1/deliveries?{}", visit.query(&["event_id"], &[("limit", "50")])),
    };
    let known: Value = visit.get(&path).await?;
    let watch = Watch { visit, path, known, looks: 0, _place: place };
    Ok(Sse::new(changes(watch)).keep_alive(KeepAlive::default()).into_response())
}

fn changes(watch: Watch) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(watch, |mut watch| async move {
        while watch.looks < LOOKS {
            tokio::time::sleep(EVERY).await;
            watch.looks += 1;
            // Whoever is signed in no longer is told nothing more; and a server that ends waits for nobody.
            let is_ready = watch.visit.get::<Value>("/readyz").await.is_ok();
            let found: Value = watch.visit.get(&watch.path).await.ok().filter(|_| is_ready)?;
            if found != watch.known {
                watch.known = found;
                return Some((Ok(Event::default().event("changed").data("now")), watch));
            }
        }
        None
    })
}
