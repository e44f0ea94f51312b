//! That a change was asked for on our own pages, not by another site in the name of who is signed in.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use subtle::ConstantTimeEq;
use url::Url;

use super::SignedIn;
use crate::problem::Problem;
use crate::state::Api;

/// The header that brings along the session's token.
const TOKEN: &str = "x-csrf-token";

/// Refuses a change without the session's token, or from elsewhere.
pub(crate) fn refuse_forged(parts: &Parts, signed_in: &SignedIn, api: &Api) -> Result<(), Problem> {
    if parts.method.is_safe() {
        return Ok(());
    }
    refuse_foreign_origin(&parts.headers, api)?;
    let given = parts.headers.get(TOKEN).map_or(&[][..], |value| value.as_bytes());
    if bool::from(given.ct_eq(signed_in.csrf.as_bytes())) {
        return Ok(());
    }
    Err(Problem::forgery("Send the session's `csrf_token` as `X-CSRF-Token`; `GET /api/v1/session/` tells it."))
}

/// Refuses what a page of another site asks for.
pub(crate) fn refuse_foreign_origin(headers: &HeaderMap, api: &Api) -> Result<(), Problem> {
    if is_ours(headers, api.public_url.as_deref(), api.is_dev) {
        return Ok(());
    }
    Err(Problem::forgery(foreign_detail(headers, api.public_url.as_deref())))
}

/// Why a page's origin does not count, and what to do about it.
fn foreign_detail(headers: &HeaderMap, public_url: Option<&str>) -> String {
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match public_url {
        Some(url) => format!("Only pages of {url} may do this. Open the console there, or change `public_url`."),
        None if origin.starts_with("http://") => {
            "The page was loaded over HTTP. Open the console over HTTPS, through a \
            proxy that ends TLS; or set `public_url` to where browsers find it."
                .to_owned()
        }
        None => {
            "The request comes from a page of another site. If a proxy changes the `Host` header, set `public_url` to \
            where browsers find the console."
                .to_owned()
        }
    }
}

fn is_ours(headers: &HeaderMap, public_url: Option<&str>, is_dev: bool) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(ORIGIN.as_str()), text("sec-fetch-site")) {
        (Some(origin), _) => {
            let host = text(HOST.as_str()).unwrap_or_default();
            let schemes: &[&str] = if is_dev { &["https", "http"] } else { &["https"] };
            let is_by_host = || schemes.iter().any(|scheme| is_same(origin, &format!("{scheme}://{host}")));
            public_url.map_or_else(is_by_host, |url| is_same(origin, url))
        }
        (None, Some(site)) => matches!(site, "same-origin" | "none"),
        // No browser, which would say.
        (None, None) => true,
    }
}

/// Whether both are the same scheme, host and port.
fn is_same(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (Url::parse(one), Url::parse(other)) else { return false };
    one.host().is_some() && one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (origin, host, is_dev, expected) in [
            ("https://a.example", "a.example", false, true),
            ("https://a.example", "A.example:443", false, true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true, true),
            ("http://a.example", "a.example", false, false),
            ("null", "a.example", true, false),
            ("https://b.example", "a.example", true, false),
            ("https://a.example:8443", "a.example", true, false),
            ("https://a.example.b.example", "a.example", true, false),
            ("https://a.example", "", true, false),
        ] {
            let given = headers(&[("origin", origin), ("host", host)]);
            assert_eq!(is_ours(&given, None, is_dev), expected, "{origin} {host}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let told =
            |origin, public_url| foreign_detail(&headers(&[("origin", origin), ("host", "a.example")]), public_url);
        assert!(told("http://a.example", None).contains("over HTTPS"));
        assert!(told("https://b.example", None).contains("another site"));
        assert!(told("http://a.example", Some("https://a.example")).contains("Only pages of https://a.example"));
    }

    #[test]
    fn behind_a_proxy_that_changes_the_host_the_public_url_counts() {
        let given = headers(&[("origin", "https://a.example"), ("host", "10.0.0.1:8080")]);
        assert!(is_ours(&given, Some("https://a.example"), false) && !is_ours(&given, None, false));
        let other = headers(&[("origin", "https://b.example"), ("host", "b.example")]);
        assert!(!is_ours(&other, Some("https://a.example"), false));
    }

    #[test]
    fn what_no_browser_sends_is_not_from_another_site() {
        assert!(is_ours(&headers(&[("host", "a.example")]), None, false));
        assert!(is_ours(&headers(&[("sec-fetch-site", "same-origin")]), None, false));
        assert!(!is_ours(&headers(&[("sec-fetch-site", "cross-site")]), None, false));
    }
}
