//! A test of an endpoint, answered at once.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::webhook::{Notice, back, show};
use crate::fault::Fault;
use crate::form::Form;
use crate::model::TestResult;
use crate::visit::Visit;

/// Sends one, and says what came back.
pub(crate) async fn send(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let body = json!({"webhook_id": visit.id()});
    let also = StatusCode::BAD_GATEWAY;
    match visit.try_change::<TestResult>(&sent, "/api/v1/webhooks/test", &body, also).await {
        Ok(result) => {
            let notice = Notice { tested: Some(result), told: None };
            Ok(show(&visit, &notice).await?.into_response())
        }
        Err(fault) => back(&visit, Err(fault)).await,
    }
}
