//! What every backend of the store must do. Each test is written once, against the traits, and run
//! on each backend; add one by giving it a line in `backends!`.

use std::pin::Pin;

mod accept;
mod accounts;
mod audit;
mod catalogue;
mod claim;
mod credentials;
mod damaged;
mod failing;
mod fan_out;
mod fixture;
mod isolation;
mod lists;
mod long;
mod pairs;
mod plans;
mod prune;
mod reopen;
mod replays;
mod schema;
mod sealed;
mod settle;
mod statistics;
mod targets;
mod versions;

/// Runs each of the named tests on each backend.
macro_rules! backends {
    ($($module:ident::{$($test:ident),* $(,)?})*) => {
        mod sqlite {
            $(mod $module {
                $(#[tokio::test]
                async fn $test() {
                    let database = crate::fixture::Database::sqlite();
                    crate::$module::$test(crate::fixture::Fixture::on(database).await).await;
                })*
            })*
        }
        /// All of them, one after the other, in one process.
        pub(crate) async fn run_all(database: impl AsyncFn() -> crate::fixture::Database) {
            $($(boxed(crate::$module::$test, &database).await;)*)*
        }
        mod postgres {
            $(mod $module {
                $(#[tokio::test]
                async fn $test() {
                    let database = crate::fixture::Database::postgres().await;
                    crate::$module::$test(crate::fixture::Fixture::on(database).await).await;
                })*
            })*
        }
    };
}

/// A test and its fixture in a place of their own: all of them together are too much for one stack.
fn boxed<'a, F: Future<Output = ()> + 'a>(
    test: impl FnOnce(fixture::Fixture) -> F + 'a,
    database: &'a impl AsyncFn() -> fixture::Database,
) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move { test(fixture::Fixture::on(database().await).await).await })
}

/// What only an embedded database does: its file is ours alone.
mod embedded {
    use crate::fixture::{Database, Fixture};

    #[tokio::test]
    async fn who_serves_next_frees_all_leases() {
        crate::claim::who_serves_next_frees_all_leases(Fixture::on(Database::sqlite()).await).await;
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_delays_nothing() {
        crate::claim::a_clock_that_was_set_back_delays_nothing(Fixture::on(Database::sqlite()).await).await;
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_delays_none_of_very_many() {
        crate::claim::a_clock_that_was_set_back_delays_none_of_very_many(Fixture::on(Database::sqlite()).await).await;
    }

    #[tokio::test]
    async fn what_waits_is_moved_in_pages() {
        crate::claim::what_waits_is_moved_in_pages(Fixture::on(Database::sqlite()).await).await;
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_hides_nobody() {
        crate::claim::a_clock_that_was_set_back_hides_nobody(Fixture::on(Database::sqlite()).await).await;
    }

    #[tokio::test]
    async fn what_is_wiped_is_not_in_the_file() {
        crate::prune::what_is_wiped_is_not_in_the_file(Fixture::on(Database::sqlite()).await).await;
    }

    #[tokio::test]
    async fn no_secret_can_be_read_from_the_file() {
        crate::sealed::no_secret_can_be_read_from_the_file(Fixture::on(Database::sqlite()).await).await;
    }
}

/// What only processes on one database do to each other.
mod shared {
    use crate::fixture::{Database, Fixture};

    #[tokio::test]
    async fn rows_are_found_by_index_and_locked_in_order() {
        crate::plans::rows_are_found_by_index_and_locked_in_order(Fixture::on(Database::postgres().await).await).await;
    }

    #[tokio::test]
    async fn a_revocation_under_way_is_waited_for() {
        crate::credentials::a_revocation_under_way_is_waited_for(Fixture::on(Database::postgres().await).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_pair_waits_in_a_circle() {
        crate::pairs::no_pair_waits_in_a_circle(Fixture::on(Database::postgres().await).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nor_does_anything_beside_a_take_over() {
        crate::pairs::nor_does_anything_beside_a_take_over(Fixture::on(Database::postgres().await).await).await;
    }
}

backends! {
    accept::{
        makes_the_event_and_its_deliveries_durable,
        hands_over_while_there_are_slots_and_queues_the_rest,
        queues_behind_rows_that_wait,
        a_key_publishes_once,
        a_hundred_at_once_make_one_event,
        uses_a_subscription_made_by_another_process,
        does_not_use_one_deleted_by_another_process,
        patient_events_are_accepted_alone_and_beside_others,
        a_batch_answers_in_order,
    }
    accounts::{
        users_are_found_by_name_and_listed_by_tenant,
        a_deleted_tenant_has_no_users,
        a_session_lasts_until_it_ends,
        a_portal_link_is_used_once,
    }
    audit::{entries_are_kept_as_they_were_for_their_tenant}
    catalogue::{
        a_tenant_name_is_free_again_after_its_deletion,
        deleting_a_tenant_ends_its_keys_and_subscriptions,
        a_key_is_found_by_its_hash_until_revoked,
        custom_types_are_known_at_once,
        rotation_keeps_both_secrets,
        lists_are_stable_under_inserts,
        tenants_and_keys_are_listed_and_found,
        the_vault_is_tried_on_what_is_there,
        a_new_master_key_seals_all_anew,
    }
    claim::{
        nobody_else_claims_until_the_lease_ends,
        the_longest_due_goes_first,
        nothing_is_claimed_before_it_is_due,
        lanes_are_found_page_by_page,
        strikes_count_claims_without_a_trace,
        an_abandoned_row_is_free_and_keeps_its_strike,
        a_mark_needs_the_claim,
        what_waits_is_counted,
        a_sender_sees_what_is_true_this_moment,
        a_failed_look_up_gives_the_claim_back,
        what_is_put_off_is_left_alone,
    }
    credentials::{
        who_was_revoked_makes_none,
        a_deleted_tenant_gets_none,
    }
    fan_out::{
        many_targets_are_made_in_chunks,
        a_replay_meanwhile_does_not_stop_it,
        only_who_was_active_at_the_accept_gets_it,
    }
    isolation::{another_tenants_ids_are_as_good_as_none}
    prune::{
        ended_events_go_and_balance_stays,
        payloads_go_first_and_cannot_be_replayed,
        payloads_go_when_all_have_them,
        payloads_go_when_a_retry_succeeds,
        wide_events_go_in_pages,
        a_tenant_keeps_payloads_as_long_as_it_says,
        what_is_pending_or_recent_stays,
        an_idempotency_key_outlives_short_retention,
        tests_go_too,
    }
    reopen::{
        a_retry_goes_on_counting_and_takes_the_old_end_back,
        a_pending_delivery_cannot_be_retried,
        an_inactive_or_deleted_target_cannot_be_retried,
        a_replay_opens_what_ended,
        a_replay_makes_what_was_missing,
    }
    replays::{
        what_failed_is_opened_at_its_rate,
        what_was_missed_is_made,
        what_is_paused_or_canceled_does_not_go_on,
        replays_are_of_one_tenant,
        long_periods_are_gone_through_in_pages,
        one_that_cannot_go_on_waits,
        one_that_cannot_be_read_is_passed_over,
    }
    damaged::{one_row_of_each_table_is_nobody_elses_matter}
    failing::{
        it_is_told_warned_of_and_deactivated,
        each_failed_delivery_is_told_to_who_subscribes,
        a_receiver_that_is_gone_is_told,
    }
    lists::{ what_is_rare_is_found_page_by_page }
    statistics::{
        all_is_counted_once_for_everybody_it_concerns,
        whoever_fails_is_known_until_it_succeeds,
        more_than_one_step_is_counted_in_several,
        what_waits_is_counted,
        tallies_go_by_their_own_retention,
    }
    settle::{
        an_end_is_recorded_with_its_attempt_and_statistics,
        a_retry_waits_for_its_time,
        an_outcome_whose_commit_was_not_heard_of_counts_once,
        a_late_failure_changes_nothing_but_is_kept,
        a_late_success_is_a_fact,
        a_receiver_that_is_gone_ends_only_the_subscription_it_was_asked_by,
        deactivating_discards_what_is_pending_for_good,
        deleting_discards_and_keeps_the_log,
        a_new_url_takes_pending_deliveries_along,
    }
    targets::{
        a_callback_gets_the_events_of_its_resource,
        a_claimed_callback_comes_with_what_it_says,
        a_resource_has_a_bounded_number_of_callbacks,
        a_callback_of_a_finished_resource_goes,
        a_one_off_url_gets_its_event,
        a_filter_turns_away_and_counts,
        filters_hold_for_very_many_targets_too,
        one_of_very_many_gets_it_at_once,
        nobody_sends_to_a_callback_that_was_deleted,
        a_delivery_keeps_the_version_of_its_format,
        one_secret_signs_a_tenants_callbacks_in_a_format,
        a_new_master_key_seals_callback_secrets_anew,
        a_tenant_can_be_changed,
        deleting_a_tenant_ends_its_callbacks,
        an_event_is_explained,
    }
    versions::{
        deliveries_are_as_many_as_were_promised,
        what_is_of_the_future_is_discarded_too,
        what_has_no_version_is_judged_by_its_time,
        who_came_later_missed_nothing,
        what_was_missed_was_to_be_had_then,
        a_change_reads_nothing_but_what_changed,
        what_a_call_left_is_done_afterwards,
        old_versions_go,
    }
}
