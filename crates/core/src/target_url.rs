//! URLs that a user gave, judged as text. Names are resolved and vetted at every dial, never here.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use url::{Host, Url};

use crate::address::AddressPolicy;

/// Longest URL, in characters.
pub const URL_LIMIT: usize = 2048;

/// Endings of names that never lead outside.
const INTERNAL_SUFFIXES: [&str; 5] = [".local", ".localhost", ".internal", ".svc", ".home.arpa"];

/// A URL that was permitted, in its WHATWG serialisation, query included. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUrl(Arc<Forms>);

#[derive(PartialEq, Eq, Hash)]
struct Forms {
    url: Url,
    /// The same as requests want it.
    uri: Uri,
}

impl TargetUrl {
    /// Takes back what was permitted when it was stored; the address rules apply again at dial.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(Url::has_host).and_then(Self::new)
    }

    fn new(url: Url) -> Option<Self> {
        let uri = Uri::try_from(url.as_str()).ok()?;
        Some(Self(Arc::new(Forms { url, uri })))
    }

    /// As it is kept, shown and sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.url.as_str()
    }

    /// The parsed URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0.url
    }

    /// The same for a request.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// The address, if the host is one: it skips the resolver and must be vetted by itself.
    #[must_use]
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.0.url.host()? {
            Host::Ipv4(v4) => Some(v4.into()),
            Host::Ipv6(v6) => Some(v6.into()),
            Host::Domain(_) => None,
        }
    }

    /// Origin and path, without the query: what makes an endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.0.url[..url::Position::AfterPath]
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a URL is refused, in words for the person who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// Longer than [`URL_LIMIT`].
    #[error("must have at most {URL_LIMIT} characters")]
    TooLong,
    /// A character that has no place in a URL, and that parsers disagree about.
    #[error("must be ASCII without spaces, control characters or backslashes (percent-encode them)")]
    Character,
    /// Not a URL at all.
    #[error("must be an absolute URL such as https://example.com/webhooks")]
    Syntax,
    /// `http` and everything else that is not `https`.
    #[error("must be an HTTPS URL")]
    Scheme,
    /// `https://user:password@…`.
    #[error("must not contain a user name or password; use the webhook's headers for credentials")]
    UserInfo,
    /// `…#part`.
    #[error("must not contain a fragment (#…)")]
    Fragment,
    /// A port below 1024 that is not for HTTP.
    #[error("must use port 443, 80 or one from 1024 on")]
    Port,
    /// A name without a dot, or an internal one.
    #[error("must name a public host, such as api.example.com")]
    Host,
    /// An address that is not public.
    #[error("must not point to a private, local or reserved address")]
    Address,
}

/// The rules for URLs given from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlPolicy {
    /// Permit `http://` and names of this machine (`--dev`).
    pub dev: bool,
    /// Which literal addresses are permitted.
    pub addresses: AddressPolicy,
}

impl UrlPolicy {
    /// Judges `raw` and brings it into its WHATWG serialisation.
    ///
    /// # Errors
    /// [`UrlRefusal`] names the first rule that it breaks.
    pub fn judge(&self, raw: &str) -> Result<TargetUrl, UrlRefusal> {
        if raw.chars().count() > URL_LIMIT {
            return Err(UrlRefusal::TooLong);
        }
        if raw.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(UrlRefusal::Character);
        }
        let url = Url::parse(raw).map_err(|_| UrlRefusal::Syntax)?;
        self.judge_scheme(raw, &url)?;
        if url.fragment().is_some() {
            return Err(UrlRefusal::Fragment);
        }
        if url.port_or_known_default().is_none_or(|port| port != 443 && port != 80 && port < 1024) {
            return Err(UrlRefusal::Port);
        }
        self.judge_host(&url)?;
        if url.as_str().len() > URL_LIMIT {
            return Err(UrlRefusal::TooLong);
        }
        TargetUrl::new(url).ok_or(UrlRefusal::Syntax)
    }

    fn judge_scheme(&self, raw: &str, url: &Url) -> Result<(), UrlRefusal> {
        if url.scheme() != "https" && !(self.dev && url.scheme() == "http") {
            return Err(UrlRefusal::Scheme);
        }
        // WHATWG also reads `https:host` and `https:///host`; nobody means that.
        let rest = raw.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://")).ok_or(UrlRefusal::Syntax)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(UrlRefusal::Syntax);
        }
        if authority.contains('@') {
            return Err(UrlRefusal::UserInfo);
        }
        Ok(())
    }

    fn judge_host(&self, url: &Url) -> Result<(), UrlRefusal> {
        let address = match url.host().ok_or(UrlRefusal::Syntax)? {
            Host::Domain(name) => return self.judge_name(name),
            Host::Ipv4(v4) => IpAddr::V4(v4),
            Host::Ipv6(v6) => IpAddr::V6(v6),
        };
        if self.addresses.permits(address) { Ok(()) } else { Err(UrlRefusal::Address) }
    }

    fn judge_name(&self, name: &str) -> Result<(), UrlRefusal> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if self.dev && (name == "localhost" || name.ends_with(".localhost")) {
            return Ok(());
        }
        let internal = INTERNAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
        let public_form = name.contains('.') && name.split('.').all(|label| !label.is_empty());
        if public_form && !internal { Ok(()) } else { Err(UrlRefusal::Host) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://api.yourcompany.com/webhooks/screening", "https://api.yourcompany.com/webhooks/screening")]
    #[case(
        "https://my-webhook.credas.com/updates?our-reference=1232323",
        "https://my-webhook.credas.com/updates?our-reference=1232323"
    )]
    #[case("HTTPS://Example.COM:443", "https://example.com/")]
    #[case("https://example.com:80/", "https://example.com:80/")]
    #[case("https://example.com:1024/", "https://example.com:1024/")]
    #[case("https://example.com./", "https://example.com./")]
    #[case("https://8.8.8.8/", "https://8.8.8.8/")]
    #[case("https://[2606:4700::1]:8443/a", "https://[2606:4700::1]:8443/a")]
    #[case("https://a.b/%E2%82%AC/../x", "https://a.b/x")]
    fn permitted(#[case] raw: &str, #[case] kept: &str) {
        assert_eq!(UrlPolicy::default().judge(raw).map(|url| url.to_string()), Ok(kept.to_owned()));
    }

    #[rstest]
    #[case("http://example.com/", UrlRefusal::Scheme)]
    #[case("ftp://example.com/", UrlRefusal::Scheme)]
    #[case("example.com", UrlRefusal::Syntax)]
    #[case("https:example.com", UrlRefusal::Syntax)]
    #[case("https:///example.com", UrlRefusal::Syntax)]
    #[case("https://", UrlRefusal::Syntax)]
    #[case("https://exa mple.com/", UrlRefusal::Character)]
    #[case("https://example.com\\@10.0.0.1/", UrlRefusal::Character)]
    #[case("https://example.com/\u{7}", UrlRefusal::Character)]
    #[case("https://ex\u{ad}ample.com/", UrlRefusal::Character)]
    #[case("https://１２７.0.0.1/", UrlRefusal::Character)]
    #[case("https://user@example.com/", UrlRefusal::UserInfo)]
    #[case("https://@example.com/", UrlRefusal::UserInfo)]
    #[case("https://example.com/#a", UrlRefusal::Fragment)]
    #[case("https://example.com/#", UrlRefusal::Fragment)]
    #[case("https://example.com:22/", UrlRefusal::Port)]
    #[case("https://example.com:1023/", UrlRefusal::Port)]
    #[case("https://localhost/", UrlRefusal::Host)]
    #[case("https://intranet/", UrlRefusal::Host)]
    #[case("https://a..b/", UrlRefusal::Host)]
    #[case("https://example.com../", UrlRefusal::Host)]
    #[case("https://printer.local/", UrlRefusal::Host)]
    #[case("https://app.localhost./", UrlRefusal::Host)]
    #[case("https://metadata.google.internal/", UrlRefusal::Host)]
    #[case("https://api.default.svc/", UrlRefusal::Host)]
    #[case("https://router.home.arpa/", UrlRefusal::Host)]
    #[case("https://127.0.0.1/", UrlRefusal::Address)]
    #[case("https://127.1/", UrlRefusal::Address)]
    #[case("https://2130706433/", UrlRefusal::Address)]
    #[case("https://0x7f.1/", UrlRefusal::Address)]
    #[case("https://0177.0.0.01/", UrlRefusal::Address)]
    #[case("https://%31%32%37.0.0.1/", UrlRefusal::Address)]
    #[case("https://0/", UrlRefusal::Address)]
    #[case("https://127.0.0.1./", UrlRefusal::Address)]
    #[case("https://[::1]/", UrlRefusal::Address)]
    #[case("https://[::ffff:127.0.0.1]/", UrlRefusal::Address)]
    #[case("https://169.254.169.254/latest/meta-data", UrlRefusal::Address)]
    fn refused(#[case] raw: &str, #[case] why: UrlRefusal) {
        assert_eq!(UrlPolicy::default().judge(raw), Err(why));
    }

    fn name(verdict: &Result<TargetUrl, UrlRefusal>) -> &'static str {
        match verdict {
            Ok(_) => "ok",
            Err(UrlRefusal::TooLong) => "too_long",
            Err(UrlRefusal::Character) => "character",
            Err(UrlRefusal::Syntax) => "syntax",
            Err(UrlRefusal::Scheme) => "scheme",
            Err(UrlRefusal::UserInfo) => "userinfo",
            Err(UrlRefusal::Fragment) => "fragment",
            Err(UrlRefusal::Port) => "port",
            Err(UrlRefusal::Host) => "host",
            Err(UrlRefusal::Address) => "address",
        }
    }

    #[test]
    fn the_corpus_gets_its_verdicts() {
        let lines =
            include_str!("../corpus/urls.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut wrong = Vec::new();
        for line in lines {
            let (expected, raw) = line.split_once(' ').expect("a verdict and a URL");
            let raw: String = serde_json::from_str(raw).expect("a JSON string");
            let verdict = UrlPolicy::default().judge(&raw);
            if name(&verdict) != expected {
                wrong.push(format!("{line}: {verdict:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn length_counts_what_is_kept() {
        let url = |length: usize| format!("https://a.b/{}", "x".repeat(length - 12));
        assert!(UrlPolicy::default().judge(&url(URL_LIMIT)).is_ok());
        assert_eq!(UrlPolicy::default().judge(&url(URL_LIMIT + 1)), Err(UrlRefusal::TooLong));
    }

    #[test]
    fn dev_permits_this_machine() {
        let addresses = AddressPolicy { loopback: true, ..AddressPolicy::default() };
        let dev = UrlPolicy { dev: true, addresses };
        for raw in ["http://localhost:3000/", "http://127.0.0.1:8080/x", "https://[::1]:8443/", "http://example.com/"] {
            assert!(dev.judge(raw).is_ok(), "{raw}");
        }
        assert_eq!(dev.judge("http://10.0.0.1/"), Err(UrlRefusal::Address));
    }

    #[test]
    fn an_endpoint_has_no_query() {
        let url = UrlPolicy::default().judge("https://a.b:8443/c?d=e").expect("permitted");
        assert_eq!(url.endpoint(), "https://a.b:8443/c");
    }
}
