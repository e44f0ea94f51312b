//! Request bodies: JSON, within limits.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::problem::Problem;

/// Largest body, in bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// How much of a larger body is read and thrown away, so that its sender hears the answer instead
/// of a reset.
const DRAIN_LIMIT: usize = 8 * 1024 * 1024;

/// The bytes of a JSON body; not parsed yet. An empty body is `{}`.
pub(crate) struct JsonBody(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let body = read(request).await?;
        if body.is_empty() {
            return Ok(Self(Bytes::from_static(b"{}")));
        }
        if is_json { Ok(Self(body)) } else { Err(Problem::unsupported_media_type()) }
    }
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    let mut body = request.into_body();
    let mut kept: Vec<Bytes> = Vec::with_capacity(1);
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("The body did not arrive whole."))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > DRAIN_LIMIT {
            break;
        }
        if seen <= BODY_LIMIT {
            kept.push(data);
        }
    }
    if seen > BODY_LIMIT { Err(Problem::too_large(BODY_LIMIT)) } else { Ok(joined(kept)) }
}

/// Most bodies come in one piece, which is taken as it is.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() > 1 { pieces.concat().into() } else { pieces.pop().unwrap_or_default() }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}
