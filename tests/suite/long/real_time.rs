//! How exactly the schedule is kept.

use std::time::Duration;

use crate::e2e::real_time::time_until_a_retry;

#[tokio::test]
async fn the_real_program_retries_within_a_second_and_a_half_of_its_schedule() {
    let waited = time_until_a_retry().await;
    assert!((Duration::from_secs(5)..Duration::from_millis(6_500)).contains(&waited), "{waited:?}");
}
