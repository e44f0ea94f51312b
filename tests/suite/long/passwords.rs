//! Two hundred passwords.

use crate::e2e::passwords::log_in;

#[tokio::test]
async fn any_of_two_hundred_passwords_logs_in_and_none_is_printed() {
    log_in(200).await;
}
