//! Wire formats.

use utoipa::IntoParams;

use super::super::answers::profiles::{Preview, Profile, ProfileList};
use super::super::bodies::NewPreview;
use super::super::errors::Problems;
use super::Page;

/// Which format.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Name {
    /// Its name.
    name: String,
}

/// List profiles
///
/// Needs the scope `read`. All of them, unless a limit is given.
#[utoipa::path(get, path = "/api/v1/profiles/", tag = "Profiles", params(Page),
    responses((status = 200, description = "The published ones first", body = ProfileList), Problems))]
pub(in super::super) fn list_profiles() {}

/// Get a profile
///
/// Needs the scope `read`. With the file that it is read from.
#[utoipa::path(get, path = "/api/v1/profiles/{name}/", tag = "Profiles", params(Name),
    responses((status = 200, description = "As this server knows it", body = Profile), Problems))]
pub(in super::super) fn get_profile() {}

/// Preview a profile
///
/// Needs the scope `read`. Renders an event, or the format's example, without sending it. What does not fit the format
/// is a 422 that names the field.
#[utoipa::path(post, path = "/api/v1/profiles/{name}/preview/", tag = "Profiles", params(Name),
    request_body = NewPreview,
    responses((status = 200, description = "What would be sent", body = Preview), Problems))]
pub(in super::super) fn preview_profile() {}
