//! Users and groups, as the Directory has them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};

use super::{
    ControlState, Refusal, walk,
    wire::{GroupView, GroupWithUsers, Listed, PeopleQuery, UserView},
};
use crate::{
    directory::{Agent, Directory, Group, User},
    identity::{IdpName, ResourceId, ResourceKind},
};

pub(super) type Asked = Result<Query<PeopleQuery>, QueryRejection>;

pub(super) async fn users(
    State(control): State<ControlState>,
    asked: Asked,
) -> Result<Json<Listed<UserView>>, Refusal> {
    let Query(query) = asked?;
    let (found, next) = walk::page(&control, ResourceKind::User, &query).await?;
    let directory = control.directory.load_full();
    let users = found.iter().filter_map(|user| directory.user(user.id)).map(|user| user_view(&directory, user));
    Ok(Json(Listed { items: users.collect(), next }))
}

pub(super) async fn user(
    State(control): State<ControlState>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Json<UserView>, Refusal> {
    let Query(query) = asked?;
    let directory = control.directory.load_full();
    let found = users_called(&directory, &name, query.idp.as_deref());
    let user = exactly_one("user", &name, &found, |user| &user.idp)?;
    Ok(Json(user_view(&directory, user)))
}

pub(super) async fn groups(
    State(control): State<ControlState>,
    asked: Asked,
) -> Result<Json<Listed<GroupView>>, Refusal> {
    let Query(query) = asked?;
    let (found, next) = walk::page(&control, ResourceKind::Group, &query).await?;
    let directory = control.directory.load_full();
    let groups = found.iter().filter_map(|group| directory.group(group.id)).map(|group| group_view(&directory, group));
    Ok(Json(Listed { items: groups.collect(), next }))
}

pub(super) async fn group(
    State(control): State<ControlState>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Json<GroupWithUsers>, Refusal> {
    let Query(query) = asked?;
    let directory = control.directory.load_full();
    let (by_id, by_name) = (|id| directory.group(id), |idp: &IdpName| directory.group_by_name(idp, &name));
    let found = called(&directory, &name, query.idp.as_deref(), by_id, by_name);
    let group = exactly_one("group", &name, &found, |group| &group.idp)?;
    let mut members: Vec<_> = directory.users_in(group.id).map(|user| user_view(&directory, user)).collect();
    members.sort_by(|a, b| a.user_name.cmp(&b.user_name));
    Ok(Json(GroupWithUsers { group: group_view(&directory, group), members }))
}

/// The one user of this id, or of this name in one IdP, or, where no user is called so, the one Agent: who can hold a
/// Grant.
pub(super) fn find_holder<'a>(
    directory: &'a Directory,
    name: &str,
    idp: Option<&str>,
) -> Result<&'a Arc<User>, Refusal> {
    let mut found = users_called(directory, name, idp);
    if found.is_empty() {
        found.extend(agents_called(directory, name, idp).iter().map(|agent| &agent.who));
    }
    exactly_one("user", name, &found, |user| &user.idp)
}

fn users_called<'a>(directory: &'a Directory, name: &str, idp: Option<&str>) -> Vec<&'a Arc<User>> {
    called(directory, name, idp, |id| directory.user(id), |idp| directory.user_by_name(idp, name))
}

pub(super) fn agents_called<'a>(directory: &'a Directory, name: &str, idp: Option<&str>) -> Vec<&'a Arc<Agent>> {
    called(directory, name, idp, |id| directory.agent(id), |idp| directory.agent_by_name(idp, name))
}

/// Who has this id, and those of this name in each IdP, or in the one.
fn called<'a, T>(
    directory: &'a Directory,
    name: &str,
    only: Option<&str>,
    by_id: impl Fn(ResourceId) -> Option<&'a Arc<T>>,
    by_name: impl Fn(&IdpName) -> Option<&'a Arc<T>>,
) -> Vec<&'a Arc<T>> {
    let idps = directory.idps().iter().filter(|idp| only.is_none_or(|only| only == idp.as_str()));
    name.parse().ok().and_then(by_id).into_iter().chain(idps.filter_map(by_name)).collect()
}

pub(super) fn exactly_one<'a, T>(
    kind: &str,
    name: &str,
    found: &[&'a Arc<T>],
    idp: impl Fn(&T) -> &IdpName,
) -> Result<&'a Arc<T>, Refusal> {
    match found {
        [one] => Ok(*one),
        [] => Err(Refusal::not_found(format!("there is no {kind} {name:?}: see `scim-tekton {kind}s list`"))),
        _ => {
            let idps: Vec<_> = found.iter().map(|found| idp(found).as_str()).collect();
            Err(Refusal::conflict(format!(
                "{kind} {name:?} stands in several identity providers: add --idp with one of {}",
                idps.join(", ")
            )))
        }
    }
}

pub(super) fn user_view(directory: &Directory, user: &User) -> UserView {
    let groups = directory.groups_of(user.id);
    let mut groups: Vec<_> =
        groups.iter().filter_map(|id| directory.group(*id)).map(|group| group.display_name.to_string()).collect();
    groups.sort();
    UserView {
        id: user.id,
        idp: user.idp.to_string(),
        user_name: user.user_name.to_string(),
        display_name: user.display_name.as_deref().map(ToOwned::to_owned),
        active: user.active,
        links: user.links.iter().map(|(host, account)| format!("{host}/{account}")).collect(),
        groups,
    }
}

fn group_view(directory: &Directory, group: &Group) -> GroupView {
    GroupView {
        id: group.id,
        idp: group.idp.to_string(),
        display_name: group.display_name.to_string(),
        users: directory.users_in(group.id).count(),
    }
}
