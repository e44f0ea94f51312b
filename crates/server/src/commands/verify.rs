//! `postrider verify`: whether a request that somebody kept is genuine and, if not, why.

use std::io::Read;

use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use postrider_core::inspection::{Finding, Verdict, guess, inspect};
use postrider_core::profile::{Profile, Profiles};
use postrider_core::secret::SigningSecret;
use postrider_core::{Timestamp, World};
use serde_json::json;

use super::shown;
use crate::cli::VerifyArgs;
use crate::config::Settings;

pub(crate) fn run(args: VerifyArgs, world: &World) -> Result<(), String> {
    let VerifyArgs { file, of, at, json } = args;
    let secrets = of.secrets();
    let profiles = Settings::profiles_of_environment().map_err(|error| error.to_string())?;
    let profile = of.profile(&profiles);
    let text = match &file {
        Some(path) => std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text).map_err(|error| format!("cannot read the request: {error}"))?;
            text
        }
    };
    let Pasted { headers, body } = Pasted::read(&text)?;
    let now = at.unwrap_or_else(|| world.now());
    let (profile, finding) = finding_of(&profiles, profile.as_deref(), &headers, &body, &secrets, now);
    if json {
        say!("{}", json!({"profile": profile, "verdict": finding.verdict.name(), "notes": finding.notes}));
    } else {
        shown::finding(profile.as_deref(), &finding);
    }
    match finding.verdict {
        Verdict::Genuine => Ok(()),
        Verdict::Unchecked => Err("the request was not checked".to_owned()),
        Verdict::Refused if at.is_some() => Err("a receiver should refuse the request".to_owned()),
        Verdict::Refused => {
            Err("a receiver should refuse the request, if it comes now; --at TIME judges it as of then".to_owned())
        }
    }
}

/// What to make of a request in the chosen format, or else in the one that it looks like. With the
/// format's name.
pub(crate) fn finding_of(
    profiles: &Profiles,
    chosen: Option<&Profile>,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[SigningSecret],
    now: Timestamp,
) -> (Option<String>, Finding) {
    match chosen.or_else(|| guess(profiles, headers)) {
        Some(profile) => (Some(profile.name.clone()), inspect(profiles, profile, headers, body, secrets, now)),
        None => {
            let note = "No signature and no format is known by these headers; name one with --profile.".to_owned();
            (None, Finding { verdict: Verdict::Unchecked, notes: vec![note] })
        }
    }
}

/// A request as people paste it: a request line if they have it, headers, an empty line, the body.
struct Pasted {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Pasted {
    fn read(text: &[u8]) -> Result<Self, String> {
        let (mut headers, mut rest, mut number) = (HeaderMap::new(), text, 0);
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, after) = end.map_or((rest, &rest[rest.len()..]), |end| (&rest[..end], &rest[end + 1..]));
            rest = after;
            number += 1;
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end();
            if line.is_empty() && (!headers.is_empty() || rest.is_empty()) {
                let body = without_pasted_end(&headers, rest).to_vec();
                return Ok(Self { headers, body });
            }
            match read_header(line) {
                Some((name, value)) => drop(headers.append(name, value)),
                // A request line, or empty lines before it.
                None if headers.is_empty() && (line.is_empty() || line.contains(" HTTP/")) => {}
                None => {
                    return Err(format!("line {number} of the request is no header: `{}`", shown::printable(line)));
                }
            }
        }
    }
}

/// The body without the line end that an editor puts behind it, if the request says how long it is.
fn without_pasted_end<'b>(headers: &HeaderMap, body: &'b [u8]) -> &'b [u8] {
    let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match said.and_then(|length| body.split_at_checked(length)) {
        Some((whole, b"\n" | b"\r\n")) => whole,
        _ => body,
    }
}

fn read_header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_str(value.trim()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_request_is_taken_apart() {
        let whole = b"POST /hook HTTP/1.1\r\nHost: a.example:8080\r\nWebhook-Id: x\r\n\r\n{\"a\":\n1}\r\n";
        let pasted = Pasted::read(whole).expect("readable");
        assert_eq!(pasted.headers["webhook-id"], "x");
        assert_eq!(pasted.headers["host"], "a.example:8080");
        assert_eq!(pasted.body, b"{\"a\":\n1}\r\n");
        let edited = Pasted::read(b"\nPOST / HTTP/1.1\nContent-Length: 2\n\n{}\n").expect("readable");
        assert_eq!(edited.body, b"{}", "the line end is the editor's");
        let bare = Pasted::read(b"Webhook-Id: x\n\nbody").expect("readable");
        assert_eq!((bare.headers.len(), bare.body.as_slice()), (1, b"body".as_slice()));
        assert!(Pasted::read(b"Webhook-Id: x\nno header\n\n").is_err());
        assert!(Pasted::read(b"").expect("nothing").body.is_empty());
    }
}
