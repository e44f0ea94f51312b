//! `/docs`: the reference of the API, readable offline.

use std::sync::{Arc, LazyLock};

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::{Config, serve};

use crate::params::Path;
use crate::problem::Problem;

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/api/v1/openapi.json")));

/// The page. It has files beside it, also for who asked for it without a slash.
pub(crate) async fn page() -> Result<Response, Problem> {
    let (content_type, page) = file_named("index.html")?;
    let page = String::from_utf8_lossy(&page).replacen("<head>", "<head><base href=\"/docs/\">", 1);
    Ok(([(CONTENT_TYPE, content_type)], page).into_response())
}

/// A file beside the page.
pub(crate) async fn file(Path(name): Path) -> Result<Response, Problem> {
    let (content_type, bytes) = file_named(&name)?;
    Ok(([(CONTENT_TYPE, content_type)], bytes).into_response())
}

fn file_named(name: &str) -> Result<(String, Vec<u8>), Problem> {
    let found = serve(name, Arc::clone(&CONFIG)).map_err(|error| {
        tracing::error!(%error, "the reference cannot be shown");
        Problem::internal()
    })?;
    let file = found.ok_or_else(Problem::not_found)?;
    Ok((file.content_type, file.bytes.into_owned()))
}
