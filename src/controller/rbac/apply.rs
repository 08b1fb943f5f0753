//! Making the RoleBindings of one place what they should be.

use std::fmt::Display;

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt as _;
use tracing::info;

use super::{
    RbacSync,
    place::Place,
    plan::{Names, Step, Turned},
    shards::{self, MOST_SUBJECTS, Shards},
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

/// What became of a write.
enum Wrote {
    /// It is done.
    Done,
    /// It may be done: somebody else has written, or there was no answer.
    Unknown(Option<Failure>),
    /// It is not done.
    Refused(Failure),
}

impl RbacSync {
    /// Makes it so, and returns how many people hold the role. Who is to lose it loses it also where nobody can be
    /// added, and where it can't be shrunk (that needs `bind`, which may have been withdrawn) it is deleted.
    pub(super) async fn apply(&self, binding: &GroupRoleBinding, place: &Place) -> Result<usize, Failure> {
        let mut refused: Option<Failure> = None;
        for _ in 0..ATTEMPTS {
            let objects = self.read(place).await.map_err(|error| Failure::at(place, "reading", &error, true))?;
            if let Some(foreign) = objects.values().find(|object| !self.is_ours(object)) {
                return Err(Failure::at(place, "writing", &self.not_ours(foreign), false));
            }
            let live: Shards = objects.iter().map(|(number, object)| (*number, place.live(binding, object))).collect();
            let whole = shards::whole(&live);
            // Loaded after the live objects were read: what is written is never older than what is there.
            let directory = self.directory.load_full();
            let mut wish = self.settings.wish(&binding.spec.group, &directory, whole.as_ref());
            if wish.frozen.is_none() {
                wish.frozen = refused.as_ref().map(|refused| refused.why.clone());
            }
            let whole = whole.unwrap_or_default();
            self.unproven.note_all(place, &whole.names);
            let steps = shards::steps(&live, &wish, MOST_SUBJECTS);
            if steps.is_empty() {
                let again = refused.is_some_and(|refused| refused.again);
                return wish.frozen.map_or(Ok(whole.names.len()), |why| Err(Failure { why, again }));
            }
            let seq = whole.seq.max(directory.seq());
            let mut people = whole.names;
            // Read again where somebody could not be added, who is told of there, and where the role was another.
            let mut once_more = wish.frozen.is_some() || live.values().any(|live| live.other_role);
            let mut failed = None;
            for (number, step) in steps {
                let shard = place.shard(number);
                let object = objects.get(&number);
                let before = live.get(&number).map(|live| live.names.clone()).unwrap_or_default();
                let wanted = step.people();
                let turned = Turned::between(&before, &wanted);
                let subjects = wanted.len();
                let after: Names = people.difference(&before).cloned().chain(wanted).collect();
                fail::fail_point!("repair::before_apply");
                let wrote = self.write(binding, &shard, &step, object, seq).await;
                fail::fail_point!("repair::after_apply");
                match wrote {
                    Wrote::Done => {
                        info!(namespace = shard.namespace, name = shard.name, subjects, "a RoleBinding follows");
                        self.unproven.note(&shard, turned, &after);
                        people = after;
                    }
                    Wrote::Unknown(failure) => {
                        // It may have been done; a conflict may be our own write, seen through another API server.
                        self.unproven.note(&shard, turned, &after);
                        let Some(failure) = failure else {
                            once_more = true;
                            break;
                        };
                        return Err(failure);
                    }
                    Wrote::Refused(failure) => match object {
                        None => failed = Some(failure),
                        Some(_) if step == Step::Delete => failed = Some(Failure { again: true, ..failure }),
                        // Once more, without those who would be added.
                        Some(_) if turned.gained.is_some() => {
                            refused = Some(failure);
                            once_more = true;
                            break;
                        }
                        Some(object) => {
                            self.delete_what_cannot_be_shrunk(&shard, object).await?;
                            let after = people.difference(&before).cloned().collect();
                            self.unproven.note(&shard, Turned::between(&before, &Names::new()), &after);
                            people = after;
                            refused = None;
                            once_more = true;
                        }
                    },
                }
            }
            if let Some(failure) = failed {
                return Err(failure);
            }
            if !once_more {
                return Ok(people.len());
            }
        }
        Err(Failure::at(place, "writing", &"it changes faster than it can be written", true))
    }

    async fn write(
        &self,
        binding: &GroupRoleBinding,
        shard: &Place,
        step: &Step,
        object: Option<&RoleBinding>,
        seq: i64,
    ) -> Wrote {
        let instance = &self.settings.instance;
        let written = match (step, object) {
            (Step::Create(people), None) => {
                self.shards.found(&shard.namespace, &shard.name);
                self.create(shard, &shard.role_binding(binding, instance, people, seq)).await
            }
            (Step::Replace(people), Some(object)) => {
                let mut new = shard.role_binding(binding, instance, people, seq);
                new.metadata.resource_version = object.resource_version();
                self.replace(shard, &new).await
            }
            (Step::Delete, Some(object)) => self.delete(shard, object).await,
            _ => Ok(()),
        };
        match written {
            Ok(()) => Wrote::Done,
            Err(error) if is_conflict(&error) => Wrote::Unknown(None),
            Err(error) => match refusal(&error) {
                Some(again) => Wrote::Refused(Failure::at(shard, "writing", &error, again)),
                None => Wrote::Unknown(Some(Failure::at(shard, "writing", &error, true))),
            },
        }
    }

    async fn delete_what_cannot_be_shrunk(&self, shard: &Place, object: &RoleBinding) -> Result<(), Failure> {
        self.delete(shard, object)
            .await
            .or_else(ignore_conflict)
            .map_err(|error| Failure::at(shard, "deleting what can't be shrunk:", &error, true))?;
        info!(namespace = shard.namespace, name = shard.name, "a RoleBinding that can't be shrunk is deleted");
        Ok(())
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
