//! The example events of the published documents.

use serde_json::{Value, json};

/// An event type and a payload.
pub(super) type Example = (&'static str, Value);

/// In the order of the documents: APLYiD, Case Keeper, AnyCheck (three), Credas.
pub(super) fn all() -> Vec<Example> {
    vec![
        ("case.completed", aplyid()),
        ("verification.updated", json!({"id": "01234567-89ab-cdef-0123-456789abcdef"})),
        ("verification.completed", anycheck()),
        (
            "verification.needs_review",
            json!({
                "status": "NEED_REVIEW",
                "review_reason": "Low confidence score",
                "output": {"verified": null, "confidence": 0.65},
            }),
        ),
        (
            "verification.failed",
            json!({
                "status": "FAILED",
                "error": {"code": "PROVIDER_ERROR", "message": "External verification service unavailable"},
            }),
        ),
        (
            "process.completed",
            json!({
                "ProcessId": "1e144e85-f45b-4ae3-8915-ae2826ea1e55",
                "ClientId": "8c55ebc3-7ac2-469e-9837-94023aa82c3d",
                "Status": 2,
                "StatusDescription": "The process is complete",
            }),
        ),
    ]
}

fn aplyid() -> Value {
    json!({
        "case_id": 1024,
        "external_id": "order-9281",
        "guided_flow_id": 5567,
        "status": "completed",
        "case_url": "https://workflow.aplyid.com/guided_flows/standard/5567/overview",
        "client": {
            "id": 8843,
            "name": "John Doe",
            "external_id": "cust-4471",
            "approval_status": "approved",
        },
    })
}

fn anycheck() -> Value {
    json!({
        "verification_id": "verification-uuid",
        "result_id": "result-uuid",
        "status": "COMPLETED",
        "service": {"id": "service-uuid", "name": "KTP Verification"},
        "output": {
            "verified": true,
            "match_score": 0.95,
            "data": {"nik": "1234567890123456", "name": "JOHN DOE", "birth_date": "1990-01-01"},
        },
        "execution_time": 5.2,
        "completed_at": "2024-01-15T10:05:30Z",
        "credit_used": 1,
    })
}
