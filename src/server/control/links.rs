//! Links, as the Directory has them: who claims which account at a source-code host, and what an event of it meets.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};

use super::{
    ControlState, Refusal,
    wire::{Holder, LinkQuery, LinkState, LinkView, Listed, PAGE},
};
use crate::directory::{Directory, LinkAuthority, User};

pub(super) async fn list(
    State(control): State<ControlState>,
    asked: Result<Query<LinkQuery>, QueryRejection>,
) -> Result<Json<Listed<LinkView>>, Refusal> {
    let Query(query) = asked?;
    let directory = control.directory.load_full();
    if let Some(host) = &query.host {
        authority(&directory, host)?;
    }
    let after = query.after.as_deref().map(begin).transpose()?;
    let most = query.limit.unwrap_or(PAGE).min(PAGE);
    let mut items: Vec<LinkView> = Vec::new();
    for (host, account, user) in directory.links_after(after) {
        if query.host.as_deref().is_some_and(|only| *only != **host) {
            continue;
        }
        // All who claim an account stand beside each other.
        if let Some(last) = items.last_mut().filter(|last| *last.host == **host && last.account == account) {
            last.holders.push(holder(user));
            last.state = state(&directory, &last.holders);
            continue;
        }
        if query.denied && items.last().is_some_and(|last| last.state == LinkState::Linked) {
            items.pop();
        }
        if items.len() == most {
            let next = items.last().map(|last| format!("{} {}", last.host, last.account));
            return Ok(Json(Listed { items, next }));
        }
        let holders = vec![holder(user)];
        items.push(LinkView { host: host.to_string(), account, state: state(&directory, &holders), holders });
    }
    items.pop_if(|last| query.denied && last.state == LinkState::Linked);
    Ok(Json(Listed { items, next: None }))
}

pub(super) async fn show(
    State(control): State<ControlState>,
    Path((host, account)): Path<(String, String)>,
) -> Result<Json<LinkView>, Refusal> {
    let Ok(account) = account.parse() else {
        return Err(Refusal::bad(format!("expected the account's number at {host}, not {account:?}")));
    };
    let directory = control.directory.load_full();
    authority(&directory, &host)?;
    let holders: Vec<_> = directory.linked(&host, account).map(|user| holder(user)).collect();
    if holders.is_empty() {
        return Err(Refusal::not_found(format!("account {account} at {host} is linked to nobody")));
    }
    let state = state(&directory, &holders);
    Ok(Json(LinkView { host, account, state, holders }))
}

/// Whose word is taken for a host's accounts.
pub(super) fn authority<'a>(directory: &'a Directory, host: &str) -> Result<&'a LinkAuthority, Refusal> {
    directory.authorities().iter().find(|authority| *authority.host == *host).ok_or_else(|| {
        let sentence = format!("nobody's word is taken for accounts at {host}: set linkAuthority in the configuration");
        Refusal::not_found(sentence)
    })
}

fn begin(after: &str) -> Result<(&str, u64), Refusal> {
    let parts = after.split_once(' ').and_then(|(host, account)| Some((host, account.parse().ok()?)));
    parts.ok_or_else(|| Refusal::bad("expected after to be what the page before told as next"))
}

/// As the interceptor judges it.
fn state(directory: &Directory, holders: &[Holder]) -> LinkState {
    match holders {
        [one] if !one.active => LinkState::Inactive,
        [one] if directory.agent(one.id).is_some_and(|agent| directory.active_owners(agent).next().is_none()) => {
            LinkState::Inactive
        }
        [one] if !directory.is_confirmed(&one.idp.as_str().into()) => LinkState::Unconfirmed,
        [_] => LinkState::Linked,
        _ => LinkState::Ambiguous,
    }
}

fn holder(user: &User) -> Holder {
    let (idp, user_name) = (user.idp.to_string(), user.user_name.to_string());
    Holder { id: user.id, idp, user_name, active: user.active }
}
