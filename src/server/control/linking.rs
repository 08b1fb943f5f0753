//! Links that are imported: each is written where the host's authority would have it, into the attribute that
//! `linkAuthority` names, as that identity provider would write it.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use serde_json::Value;

use super::{
    ControlState, Refusal,
    links::authority,
    wire::{ImportAnswer, LinkImport, NewLink},
};
use crate::{
    directory::{Directory, LinkAuthority, User},
    identity::{
        AttrPath, IdpName, ResourceId, ResourceKind,
        schema::{self, Type},
    },
    scim::{self, Imported},
};

pub(super) async fn import(
    State(control): State<ControlState>,
    request: Result<Json<LinkImport>, JsonRejection>,
) -> Result<Json<ImportAnswer>, Refusal> {
    let Json(LinkImport { links, check }) = request?;
    let directory = control.directory.load_full();
    let mut outcomes: Vec<_> =
        links.iter().map(|link| judge(&directory, link).unwrap_or_else(Imported::Refused)).collect();
    if check {
        return Ok(Json(ImportAnswer { outcomes }));
    }
    let mut set = Vec::new();
    for (link, outcome) in links.iter().zip(&outcomes) {
        if let (Imported::Created(user) | Imported::Changed(user), Ok(authority)) =
            (outcome, authority(&directory, &link.host))
        {
            set.push(attribute(authority, *user, link.account));
        }
    }
    let mut done = scim::set(&control.scim, set).await?.into_iter();
    for outcome in &mut outcomes {
        match outcome {
            // What was created in the Directory is a change of the user: only a refusal is news.
            Imported::Created(_) | Imported::Changed(_) => match done.next() {
                Some(Imported::Refused(why)) => *outcome = Imported::Refused(why),
                Some(Imported::Unchanged(user)) => *outcome = Imported::Unchanged(user),
                _ => {}
            },
            Imported::Unchanged(_) | Imported::Refused(_) => {}
        }
    }
    Ok(Json(ImportAnswer { outcomes }))
}

/// What a Link would become.
fn judge(directory: &Directory, link: &NewLink) -> Result<Imported, String> {
    let NewLink { host, account, user } = link;
    let authority = authority(directory, host).map_err(|refusal| refusal.1)?;
    let user = find(directory, authority, user)?;
    if let Some(other) = directory.linked(host, *account).find(|other| other.id != user.id) {
        return Err(format!(
            "account {account} is that of {} already: expected one holder, since events of an account with two are denied",
            other.user_name
        ));
    }
    let now = user.links.iter().find(|(at, _)| **at == **host).map(|(_, number)| *number);
    Ok(match now {
        Some(number) if number == *account => Imported::Unchanged(user.id),
        Some(_) => Imported::Changed(user.id),
        None => Imported::Created(user.id),
    })
}

/// By `userName` or id.
fn find<'a>(directory: &'a Directory, authority: &LinkAuthority, name: &str) -> Result<&'a User, String> {
    let LinkAuthority { host, idp, .. } = authority;
    let by_id = name.parse().ok().and_then(|id: ResourceId| directory.user(id)).filter(|user| user.idp == *idp);
    by_id.or_else(|| directory.user_by_name(idp, name)).map(|user| &**user).ok_or_else(|| {
        format!("expected a user of {idp}, whose word is taken for accounts at {host}: there is no {name:?}")
    })
}

fn attribute(authority: &LinkAuthority, user: ResourceId, account: u64) -> scim::Attribute {
    let LinkAuthority { idp, schema, attribute, .. } = authority;
    let named = AttrPath {
        schema: Some(schema.clone()).filter(|schema| !schema.is_empty()),
        name: attribute.clone(),
        sub: None,
    };
    let path = if schema.is_empty() { attribute.clone() } else { format!("{schema}:{attribute}") };
    // A string in our own extension; in one of the admin's it may be a number.
    let is_number = schema::resolve(ResourceKind::User, &named)
        .is_some_and(|found| matches!(found.leaf().ty, Type::Integer | Type::Decimal));
    let value = if is_number { Value::from(account) } else { Value::from(account.to_string()) };
    scim::Attribute { idp: IdpName::clone(idp), user, path, value }
}
