//! What of a policy an entitlement rests on.

use serde::{Deserialize, Serialize};

use crate::directory::SubjectRef;

/// What of a policy a run's entitlement rests on, as it was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFacts {
    /// Who may.
    pub subjects: Vec<SubjectRef>,
    /// Which generation says so.
    pub generation: i64,
}
