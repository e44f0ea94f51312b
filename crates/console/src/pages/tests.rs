//! A test of an endpoint, answered at once.

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::webhook::{Notice, back, show};
use crate::fault::Fault;
use crate::form::Form;
use crate::model::TestResult;
use crate::visit::Visit;

/// Sends one, and says what came back.
pub(crate) async fn send(visit: Visit, sent: Form) -> Result<Response, Fault> {
    match test(&visit, &sent).await {
        Ok(result) => {
            let notice = Notice { tested: Some(result), told: None };
            Ok(show(&visit, &notice).await?.into_response())
        }
        Err(fault) => back(&visit, Err(fault)).await,
    }
}

async fn test(visit: &Visit, sent: &Form) -> Result<TestResult, Fault> {
    let body = json!({"webhook_id": visit.id()});
    let answer = visit.send(sent, Method::POST, "/api/v1/webhooks/test", &body).await?;
    // What an endpoint did that failed is a result, too.
    if answer.status == StatusCode::BAD_GATEWAY { answer.read() } else { answer.success() }
}
