//! Why a request got no response, in words for the people at its receiver.

use std::error::Error;
use std::io;

use postrider_core::attempt::{AttemptOutcome, Failure};
use rustls::CertificateError;

use crate::resolve::NoAddress;

/// Classifies what the client reports, by looking for the first cause that is known.
pub(crate) fn classify(error: &(dyn Error + 'static)) -> Failure {
    let known = causes(error).find_map(|cause| {
        if let Some(refused) = cause.downcast_ref::<NoAddress>() {
            return Some(failure(AttemptOutcome::AddressError, refused.to_string()));
        }
        cause.downcast_ref::<rustls::Error>().map(tls)
    });
    known
        .or_else(|| causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>()).and_then(http))
        .or_else(|| causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(connection))
        .unwrap_or_else(|| failure(AttemptOutcome::ConnectionError, "Connection failed"))
}

/// A literal address that the policy refuses.
pub(crate) fn address_refused() -> Failure {
    failure(AttemptOutcome::AddressError, NoAddress.to_string())
}

/// A URL from the time when the server ran for development.
pub(crate) fn not_https() -> Failure {
    failure(AttemptOutcome::AddressError, "Only https:// is permitted".to_owned())
}

/// The answer itself did not come, but others without end.
pub(crate) fn too_many_informational() -> Failure {
    failure(AttemptOutcome::ProtocolError, "Too many informational responses (1xx) before the response")
}

/// The whole answer did not come in time.
pub(crate) fn timed_out(seconds: i64) -> Failure {
    failure(AttemptOutcome::Timeout, format!("Timed out after {seconds} s"))
}

fn failure(outcome: AttemptOutcome, message: impl Into<String>) -> Failure {
    Failure { outcome, message: message.into() }
}

/// The error and all below it; what an `io::Error` wraps counts as below.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn tls(error: &rustls::Error) -> Failure {
    let message = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "TLS certificate expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "TLS certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "TLS certificate is for another host"
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "TLS certificate is not from a trusted authority"
            }
            CertificateError::Revoked => "TLS certificate was revoked",
            _ => "TLS certificate is not valid",
        },
        rustls::Error::PeerIncompatible(_) => "TLS version or cipher not supported by the endpoint",
        rustls::Error::AlertReceived(_) => "TLS handshake refused by the endpoint",
        _ => "TLS handshake failed",
    };
    failure(AttemptOutcome::TlsError, message)
}

fn http(error: &hyper::Error) -> Option<Failure> {
    if error.is_parse_too_large() {
        return Some(failure(AttemptOutcome::ProtocolError, "The response's headers are too large"));
    }
    if error.is_parse() {
        return Some(failure(AttemptOutcome::ProtocolError, "The response is not valid HTTP"));
    }
    let closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    closed.then(|| failure(AttemptOutcome::ConnectionError, "Connection closed before the response"))
}

fn connection(error: &io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "Connection reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "Host unreachable",
        io::ErrorKind::TimedOut => "Connection timed out",
        io::ErrorKind::UnexpectedEof => "Connection closed before the response",
        _ => "Connection failed",
    };
    failure(AttemptOutcome::ConnectionError, message)
}
