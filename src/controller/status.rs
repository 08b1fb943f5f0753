//! What we find out about an object, as its conditions: written only when it changed, and since when it is so is kept.

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::ControllerError;
use crate::cluster::{is_conflict, is_not_found, time};

/// What was found, for one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which condition.
    pub type_: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, for whoever can do something about it.
    pub message: String,
}

impl Finding {
    /// `Ready`: nothing is wrong, or this is.
    pub fn ready(checked: Result<(), (&'static str, String)>) -> Self {
        let (holds, (reason, message)) = match checked {
            Ok(()) => (true, ("Accepted", String::new())),
            Err(why) => (false, why),
        };
        Self { type_: "Ready", holds, reason, message }
    }
}

/// The conditions that follow; one whose status is what it was keeps its time.
pub fn conditions(
    was: &[Condition],
    found: Vec<Finding>,
    generation: Option<i64>,
    now: DateTime<Utc>,
) -> Vec<Condition> {
    let condition = |found: Finding| {
        let status = if found.holds { "True" } else { "False" };
        let since = was.iter().find(|was| was.type_ == found.type_ && was.status == status);
        Condition {
            type_: found.type_.into(),
            status: status.into(),
            reason: found.reason.into(),
            message: found.message,
            observed_generation: generation,
            last_transition_time: since
                .map_or_else(|| time::to_kubernetes(now), |since| since.last_transition_time.clone()),
        }
    };
    found.into_iter().map(condition).collect()
}

/// Writes a status as of the object that it was judged from: of an older one it is not written, for a newer one has come
/// and is looked at next.
pub async fn write<K>(client: kube::Client, object: &K, status: &impl Serialize) -> Result<(), ControllerError>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client, &object.namespace().unwrap_or_default());
    let patch = json!({"metadata": {"resourceVersion": object.resource_version()}, "status": status});
    match api.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(error) if !is_conflict(&error) && !is_not_found(&error) => {
            Err(ControllerError::kubernetes("writing a status")(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn no(why: &str) -> Vec<Finding> {
        vec![Finding::ready(Err(("Missing", why.into())))]
    }

    #[test]
    fn a_condition_keeps_its_time_until_its_status_turns() {
        let first = conditions(&[], no("a"), Some(1), at(10));
        assert_eq!(first[0].last_transition_time, time::to_kubernetes(at(10)));
        let same = conditions(&first, no("a"), Some(1), at(20));
        assert_eq!(same, first);
        let other = conditions(&first, no("b"), Some(2), at(20));
        assert_eq!((other[0].message.as_str(), other[0].observed_generation), ("b", Some(2)));
        assert_eq!(other[0].last_transition_time, first[0].last_transition_time);
        let turned = conditions(&other, vec![Finding::ready(Ok(()))], Some(2), at(30));
        assert_eq!((turned[0].status.as_str(), turned[0].reason.as_str()), ("True", "Accepted"));
        assert_eq!(turned[0].last_transition_time, time::to_kubernetes(at(30)));
    }
}
