//! Users and groups, as the Directory has them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};

use super::{
    ControlState, Refusal,
    agents::agents_called,
    walk,
    wire::{GroupView, GroupWithUsers, Listed, PeopleQuery, UserView},
};
use crate::{
    directory::{Directory, Group, User},
    identity::{IdpName, ResourceId, ResourceKind},
};

type Asked = Result<Query<PeopleQuery>, QueryRejection>;

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
    let user = find_user(&directory, &name, query.idp.as_deref())?;
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
    let by_id = name.parse().ok().and_then(|id: ResourceId| directory.group(id));
    let named = candidates(&directory, query.idp.as_deref()).filter_map(|idp| directory.group_by_name(idp, &name));
    let found: Vec<_> = by_id.into_iter().chain(named).collect();
    let group = exactly_one("group", &name, &found, |group| &group.idp)?;
    let mut members: Vec<_> = directory.users_in(group.id).map(|user| user_view(&directory, user)).collect();
    members.sort_by(|a, b| a.user_name.cmp(&b.user_name));
    Ok(Json(GroupWithUsers { group: group_view(&directory, group), members }))
}

/// The one user of this id, or of this name in one IdP.
pub(super) fn find_user<'a>(directory: &'a Directory, name: &str, idp: Option<&str>) -> Result<&'a Arc<User>, Refusal> {
    exactly_one("user", name, &users_called(directory, name, idp), |user| &user.idp)
}

/// The same, or, where no user is called so, the one Agent: who can hold a Grant.
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
    let by_id = name.parse().ok().and_then(|id: ResourceId| directory.user(id));
    let named = candidates(directory, idp).filter_map(|idp| directory.user_by_name(idp, name));
    by_id.into_iter().chain(named).collect()
}

pub(super) fn candidates<'a>(directory: &'a Directory, only: Option<&'a str>) -> impl Iterator<Item = &'a IdpName> {
    directory.idps().iter().filter(move |idp| only.is_none_or(|only| only == idp.as_str()))
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
