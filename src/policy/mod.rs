//! AccessPolicies: what is in force (the catalog) and what follows from it. Pure: no I/O, no clock.
//!
//! `Catalog` is the index of our kinds and of Tekton's triggers; `resolve_subjects` and `matching` say who a policy
//! means; `policy_facts` whether we can honour all that it says; `run_check` says whether a PipelineRun is what its policy allows; `catalog_from_documents` reads the same
//! YAML without a cluster. Uses `api`, `directory`, `identity`.

mod catalog;
mod duration;
mod facts;
mod folder;
mod namespaced;
mod redeem;
pub mod rules;
mod subjects;

pub use catalog::*;
pub use duration::*;
pub use facts::*;
pub use folder::*;
pub use namespaced::*;
pub use redeem::*;
pub use subjects::*;
