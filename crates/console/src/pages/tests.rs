//! A test of an endpoint, answered at once.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::webhook::{Notice, show};
use crate::fault::Fault;
use crate::form::Form;
use crate::model::TestResult;
use crate::visit::Visit;

/// Sends one, and says what came back.
pub(crate) async fn send(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let body = json!({"webhook_id": visit.id()});
    let also = StatusCode::BAD_GATEWAY;
    let notice = match visit.try_change::<TestResult>(&sent, "/api/v1/webhooks/test", &body, also).await {
        Ok(result) => Notice { tested: Some(result), told: None },
        Err(fault) => Notice { told: Some(fault.correctable()?), tested: None },
    };
    Ok(show(&visit, &notice).await?.into_response())
}
