//! The `ClusterInterceptor`: Tekton's request and response, event kinds, signatures, `decide()`.
//!
//! `router` serves it; `decide` is the decision itself, pure, and `explain` the same for a recorded request.
//! Uses `store`, `audit`, `config`, `policy`, `directory`, `api`, `clock`, `ticket`.

mod answer;
mod decide;
mod github;
mod judgement;
mod notify;
mod reason;
mod refusals;
mod router;
mod signature;
mod trigger;
mod wire;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use answer::InterceptorState;
pub use decide::{Settings, decide};
pub use judgement::Judgement;
pub use notify::{Denied, NobodyToTell, Notify};
pub use reason::Reason;
pub use refusals::Refusals;
pub use router::{LARGEST_REQUEST, explain, router};
pub use trigger::{TriggerKind, TriggerObject, policies_of};
pub use wire::{InterceptorRequest, InterceptorResponse, Status, TriggerContext};
