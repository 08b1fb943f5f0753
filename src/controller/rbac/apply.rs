//! Making one RoleBinding what it should be.

use std::fmt::Display;

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt as _;
use tracing::info;

use super::{
    RbacSync,
    place::Place,
    plan::{Names, Step, Turned, plan},
};
use crate::{
    api::{GroupRoleBinding, INSTANCE_LABEL},
    cluster::is_conflict,
};

/// Writers that conflict read again; more often than this is not bad luck.
const ATTEMPTS: usize = 8;

/// Why a RoleBinding is not what it should be.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) why: String,
    /// Whether somebody may still hold what is no longer theirs, or another attempt may just succeed: then it is made
    /// at once, else by reconciliation.
    pub(super) again: bool,
}

impl Failure {
    fn at(place: &Place, doing: &str, why: &impl Display, again: bool) -> Self {
        Self { why: format!("{doing} {}/{}: {why}", place.namespace, place.name), again }
    }
}

impl RbacSync {
    /// Makes it so, and returns how many people hold the role. Who is to lose it loses it also where nobody can be
    /// added, and where it can't be shrunk (that needs `bind`, which may have been withdrawn) it is deleted.
    pub(super) async fn apply(&self, binding: &GroupRoleBinding, place: &Place) -> Result<usize, Failure> {
        let mut refused: Option<Failure> = None;
        for _ in 0..ATTEMPTS {
            let object = self.get(place).await.map_err(|error| Failure::at(place, "reading", &error, true))?;
            if let Some(foreign) = object.as_ref().filter(|object| !self.is_ours(object)) {
                return Err(Failure::at(place, "writing", &self.not_ours(foreign), false));
            }
            let live = object.as_ref().map(|object| place.live(object));
            // Loaded after the live object was read: what is written is never older than what is there.
            let directory = self.directory.load_full();
            let mut wish = self.settings.wish(&binding.spec.group, &directory, live.as_ref());
            if wish.frozen.is_none() {
                wish.frozen = refused.as_ref().map(|refused| refused.why.clone());
            }
            let before = live.as_ref().map(|live| live.names.clone()).unwrap_or_default();
            self.unproven.note(place, Turned::default(), &before);
            let seq = live.as_ref().map_or(0, |live| live.seq).max(directory.seq());
            let instance = &self.settings.instance;
            fail::fail_point!("repair::before_apply");
            let (after, written) = match (plan(live.as_ref(), &wish), &object) {
                (Step::Nothing, _) => {
                    let again = refused.is_some_and(|refused| refused.again);
                    return wish.frozen.map_or(Ok(before.len()), |why| Err(Failure { why, again }));
                }
                (Step::Create(people), _) => {
                    let new = place.role_binding(binding, instance, &people, seq);
                    let written = self.create(place, &new).await;
                    (people, written)
                }
                (Step::Replace(people), Some(object)) => {
                    let mut new = place.role_binding(binding, instance, &people, seq);
                    new.metadata.resource_version = object.resource_version();
                    let written = self.replace(place, &new).await;
                    (people, written)
                }
                (Step::Delete, Some(object)) => (Names::new(), self.delete(place, object).await),
                (Step::Replace(_) | Step::Delete, None) => continue,
            };
            fail::fail_point!("repair::after_apply");
            let turned = Turned::between(&before, &after);
            let Err(error) = written else {
                info!(namespace = place.namespace, name = place.name, subjects = after.len(), "a RoleBinding follows");
                self.unproven.note(place, turned, &after);
                // Read again: whoever could not be added is told of there.
                if wish.frozen.is_some() {
                    continue;
                }
                return Ok(after.len());
            };
            if is_conflict(&error) {
                // It may be our own write, seen through another API server.
                self.unproven.note(place, turned, &after);
                continue;
            }
            let Some(again) = refusal(&error) else {
                self.unproven.note(place, turned, &after);
                return Err(Failure::at(place, "writing", &error, true));
            };
            let failure = Failure::at(place, "writing", &error, again);
            match &object {
                None => return Err(failure),
                Some(_) if after.is_empty() => return Err(Failure { again: true, ..failure }),
                // Once more, without those who would be added.
                Some(_) if turned.gained.is_some() => refused = Some(failure),
                Some(object) => {
                    self.delete(place, object)
                        .await
                        .or_else(ignore_conflict)
                        .map_err(|error| Failure::at(place, "deleting what can't be shrunk:", &error, true))?;
                    info!(
                        namespace = place.namespace,
                        name = place.name,
                        "a RoleBinding that can't be shrunk is deleted"
                    );
                    self.unproven.note(place, Turned::between(&before, &Names::new()), &Names::new());
                    refused = None;
                }
            }
        }
        Err(Failure::at(place, "writing", &"it changes faster than it can be written", true))
    }

    fn is_ours(&self, object: &RoleBinding) -> bool {
        object.labels().get(INSTANCE_LABEL) == Some(&self.settings.instance)
    }

    fn not_ours(&self, object: &RoleBinding) -> String {
        let whose = object.labels().get(INSTANCE_LABEL).map_or("nobody's", String::as_str);
        format!("it is not of this instance ({}) but {whose}; it is left alone", self.settings.instance)
    }
}

/// Whether an error is a `no`, and if so, whether that may be another one in a moment.
fn refusal(error: &kube::Error) -> Option<bool> {
    match error {
        kube::Error::Api(status) if status.code == 429 => None,
        kube::Error::Api(status) if (400..500).contains(&status.code) => Some(false),
        // As a webhook that can't be called says it.
        kube::Error::Api(status) if status.code == 500 => Some(true),
        _ => None,
    }
}

/// A conflict is looked into by reading again.
fn ignore_conflict(error: kube::Error) -> kube::Result<()> {
    if is_conflict(&error) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::refusal;

    #[test]
    fn only_a_no_is_a_refusal() {
        let said = |code| kube::Error::Api(Box::new(Status { code, ..Status::default() }));
        for (code, expected) in
            [(403, Some(false)), (404, Some(false)), (422, Some(false)), (500, Some(true)), (429, None), (503, None)]
        {
            assert_eq!(refusal(&said(code)), expected, "{code}");
        }
    }
}
