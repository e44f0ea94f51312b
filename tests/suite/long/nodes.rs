//! Times that hold between nodes.

use std::time::Duration;

use crate::e2e::nodes::time_until_a_revoked_key_ends;

#[tokio::test]
async fn a_revoked_key_ends_within_a_second_on_every_node() {
    let time = time_until_a_revoked_key_ends().await;
    assert!(time <= Duration::from_millis(1_100), "a second, and the last answer: {time:?}");
}
