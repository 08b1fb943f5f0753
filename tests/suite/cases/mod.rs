//! The acceptance tests, by what they show.

mod access;
mod attempts;
mod bad_input;
mod closed;
mod deprovision;
mod doctor;
mod drift;
mod enforce;
mod gone;
mod held;
mod issuer;
mod matrix;
mod release;
mod restart;
mod tickets;

use std::{pin::Pin, sync::Arc};

use crate::{
    story,
    world::{Outcome, World},
};

pub use access::{bind, can_i};
pub use deprovision::probers_of;
pub use issuer::{introspect, verify_token};

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A test: the sentence that holds, and how it is shown.
pub struct Case {
    /// The sentence.
    pub name: &'static str,
    /// How.
    pub run: fn(Arc<World>) -> Running,
}

macro_rules! cases {
    ($($path:path),* $(,)?) => {
        vec![$(Case { name: stringify!($path), run: |world| Box::pin($path(world)) }),*]
    };
}

/// Tests that don't mind each other.
pub fn together() -> Vec<Case> {
    cases![
        access::g2_scim_adds_to_a_group_and_can_i_says_yes_removes_and_it_says_no_before_the_answer,
        access::a_deleted_group_role_binding_takes_its_role_bindings_with_it,
        tickets::g4_guessed_copied_late_or_foreign_tickets_end_the_run_without_a_task,
        tickets::a_run_of_another_pipeline_or_service_account_is_refused,
        enforce::in_an_enforce_namespace_no_run_without_a_ticket_and_no_ticket_without_pending,
        enforce::a_pending_run_without_our_ticket_is_left_alone,
        enforce::only_we_clear_pending_and_our_keys_are_immutable,
        issuer::the_jwt_verifies_from_the_issuers_url_alone_is_renewed_twice_and_dies_with_its_person,
        issuer::after_the_loss_of_the_group_no_token_is_issued,
        closed::g3_an_ambiguous_or_inactive_holder_a_missing_policy_and_a_missing_secret_deny,
        closed::a_denial_is_printed_by_explain_with_its_whole_trace,
        closed::g7_no_secret_stands_in_a_log_an_event_a_status_a_metric_or_the_audit_log,
        bad_input::g8_what_is_refused_before_the_signature_holds_learns_nothing_and_stores_nothing,
        bad_input::g8_what_is_refused_after_it_says_why_once_each,
        bad_input::g8_bad_scim_gets_a_scim_error_and_nothing_of_it_is_stored,
        attempts::what_somebody_can_mend_is_retried_as_often_as_the_task_says_and_a_refusal_never,
        attempts::when_the_timeout_is_over_the_custom_run_fails_and_nothing_of_its_grant_is_left,
        drift::what_others_do_to_our_role_bindings_is_put_right_and_no_leaver_gets_in,
        drift::a_group_of_1_003_people_has_two_role_bindings_and_who_leaves_is_in_none,
        gone::a_grant_whose_role_binding_is_deleted_ends,
        gone::a_credentials_secret_that_is_deleted_is_replaced_by_a_fresh_one,
        gone::what_has_our_label_and_no_living_grant_is_removed_and_nothing_else,
        matrix::each_combination_of_a_matrix_has_a_grant_of_its_own,
        deprovision::a_step_has_no_success_after_the_answer_in_20_of_20,
    ]
}

/// Tests that measure, stop or replace the installed instance.
pub fn alone() -> Vec<Case> {
    cases![
        doctor::doctor_says_ok_on_the_installed_instance,
        held::g2_no_request_sent_after_the_answer_succeeds_in_100_of_100,
        held::with_revocation_switched_off_the_same_test_fails,
        gone::a_grant_whose_role_binding_was_deleted_while_we_were_down_ends,
        restart::g1_what_was_begun_is_finished_after_kill_9,
        release::the_release_binary_has_no_failpoint,
        story::the_whole_story,
    ]
}
