//! Answers that are no success: `application/problem+json` (RFC 9457).

use std::any::Any;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use postrider_store::{ChangeError, CredentialError, Maker, PublishError, ReopenError, StoreError};
use serde::Serialize;

/// How long to wait when the store is down, in seconds.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// Something that went wrong, for the client. Holds nothing of the inside.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The last part of `type`, a stable name of the kind of problem.
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

/// How it looks on the wire.
#[derive(Serialize)]
pub(crate) struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request cannot be read", detail)
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "Send a valid API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "No valid API key", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not permitted", detail)
    }

    /// For whoever could not sign in.
    pub(crate) fn not_signed_in(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in", detail)
    }

    /// For a change that another site may have asked for.
    pub(crate) fn forgery(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forgery", "CSRF check failed", detail)
    }

    /// For what does not exist and for what is another tenant's: the same answer.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", "There is nothing here.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "The `Allow` header names the methods that work here.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let detail = format!("The body must have at most {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "Send JSON with `Content-Type: application/json`.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is not JSON", detail)
    }

    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("Check: {}.", names.join(", "));
        let kind = "invalid-fields";
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, "Some fields are not valid", detail) }
    }

    pub(crate) fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    pub(crate) fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    pub(crate) fn unavailable() -> Self {
        let detail = "Nothing was lost and nothing was taken: send the same request again.";
        let kind = "unavailable";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "The store is not available", detail);
        Self { retry_after: Some(STORE_RETRY_AFTER), ..problem }
    }

    /// Why a credential was not made.
    pub(crate) fn of_credential(error: CredentialError, maker: Maker) -> Self {
        match (error, maker) {
            (CredentialError::MakerGone, Maker::ApiKey(_) | Maker::Installation) => Self::unauthorized(),
            (CredentialError::MakerGone, _) => Self::not_signed_in("The session has ended: sign in again."),
            (CredentialError::NoTenant(_), _) => Self::not_found(),
            (CredentialError::Taken, _) => Self::internal(),
            (CredentialError::Store(error), _) => error.into(),
        }
    }

    pub(crate) fn not_ready(why: &str) -> Self {
        let detail = format!("Not ready: {why}.");
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail);
        Self { retry_after: Some(STORE_RETRY_AFTER), ..problem }
    }

    pub(crate) fn internal() -> Self {
        let detail = "This is a fault of the server. Its log has more under the request id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// How it looks on the wire; `request_id` is not known where a batch holds it.
    pub(crate) fn body<'a>(&'a self, request_id: Option<&'a str>) -> ProblemBody<'a> {
        ProblemBody {
            r#type: format!("urn:postrider:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            request_id,
            errors: &self.errors,
        }
    }

    /// The answer; headers that were already set (`Allow`) stay.
    pub(crate) fn answer(&self, mut headers: HeaderMap, request_id: &str) -> Response {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let body = serde_json::to_vec(&self.body(Some(request_id))).unwrap_or_default();
        (self.status, headers, body).into_response()
    }
}

/// The body is written where the request's id is known: see [`crate::request_id`].
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_temporary() {
            tracing::warn!(%error, "answered 503");
            return Self::unavailable();
        }
        tracing::error!(%error, "answered 500");
        Self::internal()
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => error.into(),
            ChangeError::TooManyLiterals { asked, others, most } => {
                let message = format!(
                    "has {asked} values to compare with; the tenant's other filters have {others}, and all together may \
                     have {most}"
                );
                Self::invalid(vec![FieldError { field: "filters".to_owned(), message }])
            }
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::KeyReused => {
                Self::conflict("This idempotency key was used for an event with other content. Use a new key.")
            }
            PublishError::NoTenant => Self::not_found(),
            PublishError::Store(error) => error.into(),
        }
    }
}

impl From<ReopenError> for Problem {
    fn from(error: ReopenError) -> Self {
        match error {
            ReopenError::NotFound => Self::not_found(),
            ReopenError::Store(error) => error.into(),
            ReopenError::Pending
            | ReopenError::Inactive
            | ReopenError::Deleted
            | ReopenError::CallbackDeleted
            | ReopenError::PayloadGone => Self::conflict(capitalized(&error.to_string())),
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).chain(['.']).collect()).unwrap_or_default()
}

/// A handler panicked: the client learns no more than that.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
pub(crate) fn from_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}
