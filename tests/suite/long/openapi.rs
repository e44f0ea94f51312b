//! The description of the API, tried at length.

use crate::e2e::openapi::answers_are_as_described;

#[tokio::test]
async fn answers_are_as_described_whatever_is_asked() {
    answers_are_as_described(40).await;
}
