//! Imports: resources of a file, each written as its IdP would write it. Who is there already is changed by what the file
//! says of them (RFC 7644 §3.5.2, `replace`); what it doesn't speak of stays. A resource is a transaction of its own: a
//! run that was interrupted is run again, and changes nothing of what it had done.

mod members;
mod one;
mod trial;

use std::{future::Future, sync::Arc};

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument as _;

use super::{ScimState, bulk::Gather};
use crate::{
    identity::{IdpName, ResourceId, ResourceKind},
    store::StoreError,
};

/// How many users, or Agents, are written at once: they share the disk's commits. Groups come one after the other, since one may be
/// another's member.
const AT_ONCE: usize = 64;

/// By what a group of a file names its members. It is said, not guessed: an externalId is never an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
#[value(rename_all = "camelCase")]
pub enum MembersBy {
    /// By the ids that this server gave
    #[default]
    Id,
    /// By externalId, users and groups
    ExternalId,
    /// By userName, users only
    UserName,
}

/// What became of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Imported {
    /// It is there now.
    Created(ResourceId),
    /// It was there, and is now as the file says.
    Changed(ResourceId),
    /// It was there, and as the file says.
    Unchanged(ResourceId),
    /// It can't be: what was expected.
    Refused(String),
}

/// Resources to be imported.
#[derive(Debug)]
pub struct Import {
    /// Whose they are.
    pub idp: IdpName,
    /// Of which type.
    pub kind: ResourceKind,
    /// As a POST would send them.
    pub resources: Vec<Value>,
    /// By what groups name their members.
    pub members_by: MembersBy,
    /// Only tells what would become of them.
    pub dry_run: bool,
}

/// One attribute of a user who is there.
#[derive(Debug)]
pub struct Attribute {
    /// Whose user.
    pub idp: IdpName,
    /// Which user.
    pub user: ResourceId,
    /// As the `path` of a PATCH.
    pub path: String,
    /// What it shall be.
    pub value: Value,
}

/// Imports resources; answers in their order, when all that they take away is gone. `Err` only if the store failed.
pub async fn import(state: &ScimState, import: Import) -> Result<Vec<Imported>, StoreError> {
    let Import { idp, kind, resources, members_by, dry_run } = import;
    let at_once = if kind.acts() { AT_ONCE } else { 1 };
    let one = move |state, resource| {
        let idp = idp.clone();
        async move {
            if dry_run {
                return trial::upsert(&state, &idp, kind, resource, members_by).await;
            }
            one::upsert(&state, &idp, kind, resource, members_by).await
        }
    };
    each(state, resources, at_once, one).await
}

/// Sets attributes; answers as `import`.
pub async fn set(state: &ScimState, attributes: Vec<Attribute>) -> Result<Vec<Imported>, StoreError> {
    each(state, attributes, AT_ONCE, |state, attribute| async move { one::set(&state, attribute).await }).await
}

/// Does one after the other in a task of its own, as a Bulk: a terminal that goes away must not leave half of what was
/// taken away standing.
async fn each<T, W>(
    state: &ScimState,
    items: Vec<T>,
    at_once: usize,
    one: impl Fn(ScimState, T) -> W + Send + Sync + 'static,
) -> Result<Vec<Imported>, StoreError>
where
    T: Send + 'static,
    W: Future<Output = Result<Imported, StoreError>> + Send + 'static,
{
    let gather = Arc::new(Gather::new(Arc::clone(&state.enforce), state.writes.clone()));
    let gathered = ScimState { enforce: gather.clone(), ..state.clone() };
    let work = async move {
        let tried = stream::iter(items).map(|item| one(gathered.clone(), item)).buffered(at_once);
        // All of them, also after one for which the store failed: what is under way must be enforced.
        let tried: Vec<_> = tried.collect().await;
        gather.finish().await;
        tried.into_iter().map(refusal).collect()
    };
    let done = state.writes.spawn(work.instrument(tracing::Span::current())).await;
    done.unwrap_or_else(|error| Err(StoreError::Failed(format!("the import ended early: {error}"))))
}

fn refusal(tried: Result<Imported, StoreError>) -> Result<Imported, StoreError> {
    match tried {
        Err(failed @ StoreError::Failed(_)) => Err(failed),
        Err(refused) => Ok(Imported::Refused(refused.to_string())),
        done => done,
    }
}
