//! What a form sends.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Redirect, Response};
use maud::Markup;

use crate::fault::{Fault, Told};

/// Largest form, in bytes: larger than any that the pages have.
const LIMIT: usize = 64 * 1024;

/// The fields of a form, as they came.
#[derive(Clone)]
pub(crate) struct Form(Vec<(String, String)>);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        let body = to_bytes(request.into_body(), LIMIT).await;
        let body = body.map_err(|_| Fault::malformed("It is too large, or did not arrive whole."))?;
        Ok(Self(url::form_urlencoded::parse(&body).into_owned().collect()))
    }
}

impl Form {
    /// A field; empty if it is not there. Lines end as elsewhere, not as forms send them.
    pub(crate) fn text(&self, name: &str) -> String {
        let value = self.0.iter().find(|(field, _)| field == name);
        value.map_or_else(String::new, |(_, value)| value.replace("\r\n", "\n"))
    }

    /// A field, unless it is empty.
    pub(crate) fn given(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.trim().is_empty())
    }

    /// All values of a field that may come several times.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
    }

    /// What shows that the form is our own page's.
    pub(crate) fn token(&self) -> String {
        self.text(TOKEN)
    }
}

/// Leads on if a form did what it says, or else shows its page again, with what was wrong.
pub(crate) async fn lead_on<T>(
    done: Result<T, Fault>,
    to: &str,
    again: impl AsyncFnOnce(&Told) -> Result<Markup, Fault>,
) -> Result<Response, Fault> {
    match done {
        Ok(_) => Ok(Redirect::to(to).into_response()),
        Err(fault) => {
            let told = fault.correctable()?;
            Ok(told.on(again(&told).await?))
        }
    }
}

/// The hidden field of every form.
pub(crate) const TOKEN: &str = "csrf_token";
