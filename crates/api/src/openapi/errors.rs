//! What every call may answer that is no success.
#![expect(dead_code, reason = "described here, written elsewhere")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// A problem (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:postrider:problem:invalid-fields", "title": "Some fields are not valid", "status": 422,
    "detail": "Check: event_type.", "request_id": "01a1fe8e-0840-7102-969b-35cac5c78673",
    "errors": [{"field": "event_type", "message": "is required"}]
}))]
pub(super) struct ProblemBody {
    /// The kind of problem, a URN that stays the same.
    r#type: String,
    /// The kind, for people.
    title: String,
    /// The status code of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong this time, and what to do.
    detail: String,
    /// The id of this request, as in `X-Request-Id`.
    request_id: Option<String>,
    /// Every wrong field, if that is the problem.
    errors: Option<Vec<FieldErrorBody>>,
}

/// A wrong field.
#[derive(ToSchema)]
#[schema(as = FieldError)]
struct FieldErrorBody {
    /// The field of the body, the parameter or the header.
    field: String,
    /// What is wrong with it.
    message: String,
}

/// Status, meaning and example of each problem.
const PROBLEMS: [(u16, &str, &str, &str); 11] = [
    (400, "malformed", "The request cannot be read", "The body cannot be read."),
    (401, "unauthorized", "No valid API key", "Send a valid API key."),
    (403, "forbidden", "Not permitted", "This call needs the scope `manage`."),
    (404, "not-found", "Not found", "It does not exist, or is another tenant's: the same answer."),
    (405, "method-not-allowed", "Method not allowed", "The `Allow` header names the methods that work here."),
    (409, "conflict", "Conflict", "The state of things does not permit this now; `detail` says why."),
    (413, "too-large", "The body is too large", "The body must have at most 1048576 bytes."),
    (415, "unsupported-media-type", "The body is not JSON", "Send JSON with `Content-Type: application/json`."),
    (422, "invalid-fields", "Some fields are not valid", "Check: event_type."),
    (429, "too-many-requests", "Too many requests", "Try again after `Retry-After` seconds."),
    (503, "unavailable", "The store is not available", "Nothing was taken: send the same request again."),
];

/// All of them. Any call may answer any, also what is not named here.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refer = |name: &str| RefOr::Ref(Ref::from_response_name(name));
        let named = PROBLEMS.into_iter().map(|(status, kind, ..)| (status.to_string(), refer(kind)));
        named.chain([("default".to_owned(), refer(OTHER))]).collect()
    }
}

/// What no other name fits.
const OTHER: &str = "other";

/// Each problem once, under its name.
pub(super) fn components() -> impl Iterator<Item = (String, Response)> {
    let named = PROBLEMS.into_iter().map(|(status, kind, title, detail)| {
        let example = json!({
            "type": format!("urn:postrider:problem:{kind}"), "title": title, "status": status, "detail": detail,
            "request_id": "01a1fe8e-0840-7102-969b-35cac5c78673",
        });
        (kind.to_owned(), problem(title, Some(example)))
    });
    named.chain([(OTHER.to_owned(), problem("Something else went wrong", None))])
}

fn problem(description: &str, example: Option<Value>) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).example(example).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}
