//! Receivers that mean ill, a hundred endpoints at once: each attempt is recorded within its timeout and a second.

use rstest::rstest;
use serde_json::Value;

use crate::e2e::hostile::{TIMEOUT, a_body_that_never_ends, is_recorded};

fn assert_in_time(attempts: &[Value]) {
    for attempt in attempts {
        let took = attempt["duration_ms"].as_f64().expect("a number");
        assert!(took <= (TIMEOUT as f64 + 1.0) * 1000.0, "{attempt}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn is_recorded_in_time(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)] kind: usize,
) {
    assert_in_time(&is_recorded(kind).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_a_success_in_time() {
    assert_in_time(&a_body_that_never_ends().await);
}
