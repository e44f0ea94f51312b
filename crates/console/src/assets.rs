//! The style and the script, in the binary.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::fault::Fault;

const STYLE: &str = include_str!("../assets/console.css");
const SCRIPT: &str = include_str!("../assets/console.js");

/// Where they are: each version of the program has a place of its own for them, so that browsers may keep them.
pub(crate) const STYLE_URL: &str = concat!("/assets/console-", env!("CARGO_PKG_VERSION"), ".css");
pub(crate) const SCRIPT_URL: &str = concat!("/assets/console-", env!("CARGO_PKG_VERSION"), ".js");

/// One of them.
pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Fault> {
    let path = format!("/assets/{name}");
    let (content_type, text) = match path.as_str() {
        STYLE_URL => ("text/css; charset=utf-8", STYLE),
        SCRIPT_URL => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return Err(Fault::not_found()),
    };
    Ok(([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "private, max-age=3600")], text).into_response())
}
