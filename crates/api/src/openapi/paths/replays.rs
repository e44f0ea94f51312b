//! `/api/v1/replays/`.

use super::super::answers::replays::{Replay, ReplayList, ReplayPreview};
use super::super::bodies::{NewReplay, Nothing};
use super::super::errors::Problems;
use super::{Id, Page};

/// Replay a period
///
/// Needs the scope `manage`. Opens again the deliveries of events that were accepted in a period, and makes those that a
/// webhook missed while it was inactive, at a rate, in the order of time. It goes on over restarts. Tries, retries and
/// numbers are as after a retry by hand, and each attempt names the replay. With `dry_run`, nothing is sent.
#[utoipa::path(post, path = "/api/v1/replays/", tag = "Replays", request_body = NewReplay,
    responses((status = 201, description = "It has begun", body = Replay),
        (status = 200, description = "What it would send, with `dry_run`", body = ReplayPreview), Problems))]
pub(in super::super) fn create_replay() {}

/// List replays
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/replays/", tag = "Replays", params(Page),
    responses((status = 200, description = "Newest first", body = ReplayList), Problems))]
pub(in super::super) fn list_replays() {}

/// Get a replay
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/replays/{id}/", tag = "Replays", params(Id),
    responses((status = 200, description = "How far it is", body = Replay), Problems))]
pub(in super::super) fn get_replay() {}

/// Pause a replay
///
/// Needs the scope `manage`. No more is sent until it is resumed.
#[utoipa::path(post, path = "/api/v1/replays/{id}/pause/", tag = "Replays", params(Id),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "It is paused", body = Replay), Problems))]
pub(in super::super) fn pause_replay() {}

/// Resume a replay
///
/// Needs the scope `manage`.
#[utoipa::path(post, path = "/api/v1/replays/{id}/resume/", tag = "Replays", params(Id),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "It goes on", body = Replay), Problems))]
pub(in super::super) fn resume_replay() {}

/// Cancel a replay
///
/// Needs the scope `manage`. What was opened stays so, and is tried as ever.
#[utoipa::path(post, path = "/api/v1/replays/{id}/cancel/", tag = "Replays", params(Id),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "It has ended", body = Replay), Problems))]
pub(in super::super) fn cancel_replay() {}
