//! Between nodes: times that hold, and very many rows.

use std::time::Duration;

use crate::e2e::nodes::{take_over, time_until_a_revoked_key_ends};

#[tokio::test]
async fn a_revoked_key_ends_within_a_second_on_every_node() {
    let time = time_until_a_revoked_key_ends().await;
    assert!(time <= Duration::from_millis(1_100), "a second, and the last answer: {time:?}");
}

#[tokio::test]
async fn a_take_over_of_a_hundred_thousand_rows_holds_up_nobody() {
    take_over(100_000).await;
}
