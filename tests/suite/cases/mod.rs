//! The acceptance tests, by what they show.

mod access;
mod admission;
mod attacks;
mod attempts;
mod bad_input;
mod closed;
mod deprovision;
mod doctor;
mod drift;
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
        vec![$($crate::cases::Case { name: stringify!($path), run: |world| Box::pin($path(world)) }),*]
    };
}
pub(crate) use cases;

/// Tests that don't mind each other.
pub fn together() -> Vec<Case> {
    cases![
        access::g2_scim_adds_to_a_group_and_can_i_says_yes_removes_and_it_says_no_before_the_answer,
        access::a_deleted_group_role_binding_takes_its_role_bindings_with_it,
        tickets::g4_guessed_copied_late_or_foreign_tickets_end_the_run_without_a_task,
        tickets::a_run_of_another_pipeline_or_service_account_is_refused,
        tickets::a_pending_run_without_our_ticket_is_left_alone,
        admission::a_group_role_binding_is_admitted_only_for_who_may_bind_its_roles_everywhere,
        admission::our_own_accounts_write_only_what_carries_our_label,
        admission::our_labels_stand_from_an_objects_creation_on_and_nothing_holds_a_revocation_up,
        attacks::runs::annotation_added_or_changed_after_creation_or_brought_by_a_remote_pipeline,
        attacks::runs::a_run_without_a_ticket_in_an_enforce_namespace,
        attacks::runs::child_pipeline_run_with_a_copied_ticket,
        attacks::children::customrun_taskrun_or_pod_made_by_hand_with_anothers_run_as_owner_also_under_another_kind_with_the_same_uid,
        attacks::children::customruns_custom_ref_changed_after_creation,
        attacks::credentials::an_event_listeners_account_reading_our_secrets_or_impersonating_ours,
        attacks::credentials::a_tenants_role_binding_to_system_serviceaccounts_scim_tekton_grants,
        attacks::credentials::template_asking_for_a_role_that_its_author_cant_bind_the_eighth_included,
        attacks::credentials::impersonating_a_grants_service_account_as_namespace_admin,
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
        doctor::doctor_fails_on_an_account_under_tektons_stock_role_and_names_it,
        doctor::doctor_warns_of_a_tenant_who_may_read_secrets_in_our_namespace,
        doctor::doctor_names_the_right_that_we_lack_and_the_one_that_nobody_gave_us,
        held::g2_no_request_sent_after_the_answer_succeeds_in_100_of_100,
        held::with_revocation_switched_off_the_same_test_fails,
        attacks::runs::pending_cleared_or_the_spec_changed_while_pending_by_another,
        attacks::policies::admission_policies_deleted_while_we_run,
        gone::a_grant_whose_role_binding_was_deleted_while_we_were_down_ends,
        restart::g1_what_was_begun_is_finished_after_kill_9,
        release::the_release_binary_has_no_failpoint,
        story::the_whole_story,
    ]
}
