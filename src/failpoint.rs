//! Where a process can be stopped or killed on purpose: each step of what must survive that. Tests walk this table, and
//! `tests/suite/house.rs` holds that it names exactly the `fail_point!`s of the sources, so none is added without being
//! walked. In a release build there are none: the macro is empty without the feature `failpoints`.

#[cfg(feature = "failpoints")]
pub mod hold;

/// What has to be going on for a failpoint to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// A SCIM write that takes rights away.
    Provision,
    /// An event is judged.
    Decide,
    /// A run's ticket is redeemed.
    Redeem,
    /// A run's task gets its credential.
    Issue,
    /// A credential is renewed.
    Renew,
    /// A RoleBinding is put back to what it should be.
    Repair,
    /// A run ends, or its person is gone.
    Revoke,
}

/// A step.
#[derive(Clone, Copy, Debug)]
pub struct Failpoint {
    /// As `fail_point!` names it.
    pub name: &'static str,
    /// How to get there.
    pub flow: Flow,
}

const fn at(name: &'static str, flow: Flow) -> Failpoint {
    Failpoint { name, flow }
}

/// All of them, in the order in which a run meets them.
pub const ALL: [Failpoint; 29] = [
    at("store::before_commit", Flow::Provision),
    at("store::after_commit", Flow::Provision),
    at("provision::before_enforce", Flow::Provision),
    at("provision::before_answer", Flow::Provision),
    at("decide::before_store", Flow::Decide),
    at("decide::after_store", Flow::Decide),
    at("redeem::before_store", Flow::Redeem),
    at("redeem::after_store", Flow::Redeem),
    at("redeem::after_start", Flow::Redeem),
    at("issue::after_pending", Flow::Issue),
    at("issue::account_made", Flow::Issue),
    at("issue::bindings_made", Flow::Issue),
    at("issue::token_made", Flow::Issue),
    at("issue::before_activate", Flow::Issue),
    at("issue::before_delivery", Flow::Issue),
    at("issue::after_delivery", Flow::Issue),
    at("issue::before_result", Flow::Issue),
    at("renew::before_token", Flow::Renew),
    at("renew::before_store", Flow::Renew),
    at("renew::before_delivery", Flow::Renew),
    at("renew::after_delivery", Flow::Renew),
    at("repair::before_apply", Flow::Repair),
    at("repair::after_apply", Flow::Repair),
    // Also the switch by which the suite shows that its test of G2 can fail.
    at("revocation::off", Flow::Revoke),
    at("revoke::before_unbind", Flow::Revoke),
    at("revoke::after_unbind", Flow::Revoke),
    at("revoke::before_receipt", Flow::Revoke),
    at("revoke::after_receipt", Flow::Revoke),
    at("revoke::before_cancel", Flow::Revoke),
];
