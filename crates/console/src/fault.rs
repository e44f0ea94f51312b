//! What went wrong, as a page.

use std::any::Any;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::layout;
use crate::show::wrong_fields;

/// A call that was no success.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Whoever asks is to sign in first, and then to come back to this path.
    NotSignedIn(String),
    /// What the API said.
    Told(Told),
}

/// A problem (RFC 9457), as far as people need it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    #[serde(skip)]
    status: StatusCode,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) errors: Vec<WrongField>,
}

/// One field that is wrong.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WrongField {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Told {
    /// The page that it is told on, as no success.
    pub(crate) fn on(&self, page: Markup) -> Response {
        (self.status, page).into_response()
    }
}

impl Fault {
    pub(crate) fn told(status: StatusCode, body: &[u8]) -> Self {
        Self::Told(Told { status, ..serde_json::from_slice(body).unwrap_or_default() })
    }

    fn of(status: StatusCode, title: &str, detail: &str) -> Self {
        Self::Told(Told { status, title: title.to_owned(), detail: detail.to_owned(), errors: Vec::new() })
    }

    pub(crate) fn not_found() -> Self {
        Self::of(StatusCode::NOT_FOUND, "Not found", "There is nothing here.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "This page takes a form, or nothing but one.";
        Self::of(StatusCode::METHOD_NOT_ALLOWED, "Not in this way", detail)
    }

    pub(crate) fn internal() -> Self {
        Self::of(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal error",
            "This is a fault of the server. Its log has more.",
        )
    }

    pub(crate) fn busy() -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE, "Too many pages", "Too many pages are open to be told of changes.")
    }

    pub(crate) fn malformed(detail: &str) -> Self {
        Self::of(StatusCode::BAD_REQUEST, "The form cannot be read", detail)
    }

    /// What the API said, if whoever asks could do better: to be shown beside the form.
    pub(crate) fn correctable(self) -> Result<Told, Self> {
        match self {
            Self::Told(told) if told.status.is_client_error() && told.status != StatusCode::NOT_FOUND => Ok(told),
            other => Err(other),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::NotSignedIn(next) => {
                let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
                Redirect::to(&format!("/sign-in?{query}")).into_response()
            }
            Self::Told(told) => {
                let body = html! {
                    h1 { (told.title) }
                    p { (told.detail) }
                    (wrong_fields(&told))
                    p { a href="/" { "To the start" } }
                };
                told.on(layout::bare(&told.title, &body))
            }
        }
    }
}

/// A page for what should not have happened.
pub(crate) fn from_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a page panicked");
    Fault::internal().into_response()
}
