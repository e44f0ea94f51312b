//! Every path works with and without its trailing slash, without a redirect.

use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use tower::Service;

/// Cuts one trailing slash off the path before it is routed.
#[derive(Clone, Debug)]
pub struct TrimSlash {
    inner: Router,
}

impl TrimSlash {
    /// In front of these routes.
    #[must_use]
    pub const fn new(inner: Router) -> Self {
        Self { inner }
    }
}

impl Service<Request> for TrimSlash {
    type Response = <Router as Service<Request>>::Response;
    type Error = <Router as Service<Request>>::Error;
    type Future = <Router as Service<Request>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        <Router as Service<Request>>::poll_ready(&mut self.inner, context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some(trimmed) = trimmed(request.uri()) {
            *request.uri_mut() = trimmed;
        }
        self.inner.call(request)
    }
}

fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_goes_and_the_query_stays() {
        let trim = |uri: &'static str| trimmed(&Uri::from_static(uri)).map(|uri| uri.to_string());
        assert_eq!(trim("/api/v1/events/?limit=5&a=%2F").as_deref(), Some("/api/v1/events?limit=5&a=%2F"));
        assert_eq!(trim("/api/v1/events/").as_deref(), Some("/api/v1/events"));
        assert_eq!(trim("/api/v1/events"), None);
        assert_eq!(trim("/"), None);
    }
}
