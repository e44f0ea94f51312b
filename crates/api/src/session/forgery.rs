//! That a change was asked for on our own pages, not by another site in the name of who is signed in.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use subtle::ConstantTimeEq;
use url::Url;

use super::SignedIn;
use crate::problem::Problem;

/// The header that brings along the session's token.
const TOKEN: &str = "x-csrf-token";

/// Refuses a change without the session's token, or from elsewhere.
pub(crate) fn refuse_forged(parts: &Parts, signed_in: &SignedIn) -> Result<(), Problem> {
    if parts.method.is_safe() {
        return Ok(());
    }
    refuse_foreign_origin(&parts.headers)?;
    let given = parts.headers.get(TOKEN).map_or(&[][..], |value| value.as_bytes());
    if bool::from(given.ct_eq(signed_in.csrf.as_bytes())) {
        return Ok(());
    }
    Err(Problem::forgery("Send the session's `csrf_token` as `X-CSRF-Token`; `GET /api/v1/session/` tells it."))
}

/// Refuses what a page of another site asks for.
pub(crate) fn refuse_foreign_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_ours = match (text(ORIGIN.as_str()), text("sec-fetch-site")) {
        (Some(origin), _) => is_of(origin, text(HOST.as_str()).unwrap_or_default()),
        (None, Some(site)) => matches!(site, "same-origin" | "none"),
        // No browser, which would say.
        (None, None) => true,
    };
    if is_ours { Ok(()) } else { Err(Problem::forgery("The request comes from a page of another site.")) }
}

fn is_of(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let Ok(here) = Url::parse(&format!("{}://{host}", origin.scheme())) else { return false };
    origin.host().is_some()
        && origin.host() == here.host()
        && origin.port_or_known_default() == here.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_its_host_and_port() {
        for (origin, host) in [
            ("https://a.example", "a.example"),
            ("https://a.example", "A.example:443"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            assert!(is_of(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "a.example"),
            ("https://b.example", "a.example"),
            ("https://a.example:8443", "a.example"),
            ("https://a.example.b.example", "a.example"),
            ("https://a.example", ""),
            ("", ""),
            ("https://x@b.example", "a.example"),
        ] {
            assert!(!is_of(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_not_from_another_site() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
        };
        assert!(refuse_foreign_origin(&headers(&[("host", "a.example")])).is_ok());
        assert!(refuse_foreign_origin(&headers(&[("sec-fetch-site", "cross-site")])).is_err());
        assert!(refuse_foreign_origin(&headers(&[("sec-fetch-site", "same-origin")])).is_ok());
        assert!(refuse_foreign_origin(&headers(&[("host", "a.example"), ("origin", "https://b.example")])).is_err());
    }
}
