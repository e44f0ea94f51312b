//! What a caller may see of a tenant's payloads.

use postrider_core::api_key::Scope;
use postrider_core::attempt::BodyEncoding;
use postrider_core::redaction::{REDACTED, RedactedPaths};
use serde_json::value::RawValue;

use crate::auth::Caller;
use crate::json;
use crate::problem::Problem;
use crate::state::Api;
use crate::views::shown;

/// The places that are hidden from a caller; none, if everything may be seen.
pub(crate) struct Sight(RedactedPaths);

impl Sight {
    /// Of this caller, in the tenant that is acted in.
    pub(crate) async fn of(caller: Caller, api: &Api) -> Result<Self, Problem> {
        if caller.scopes.permits(Scope::Payloads) {
            return Ok(Self(RedactedPaths::default()));
        }
        let tenant = api.catalogue.tenant(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
        Ok(Self(tenant.redacted_paths))
    }

    /// Whether nothing is hidden.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// A payload as it may be seen.
    pub(crate) fn payload(&self, payload: Option<String>) -> Result<Box<RawValue>, Problem> {
        json::raw(payload.map(|payload| if self.0.is_empty() { payload } else { self.0.apply(&payload) }))
    }

    /// The body of a response as it may be seen. A receiver may answer with what it was sent, in whatever form: where
    /// something is hidden, so is all of that.
    pub(crate) fn response_body(&self, body: Vec<u8>) -> (String, BodyEncoding) {
        if self.0.is_empty() || body.is_empty() { shown(body) } else { (REDACTED.to_owned(), BodyEncoding::Utf8) }
    }
}
