//! Lists of users, groups and Links, over the real store.

use std::collections::BTreeSet;

use super::*;
use crate::{
    identity::{Edit, IdpName},
    server::control::wire::{AgentView, GroupView, LinkState, LinkView, Listed},
};

async fn user(store: &SqlStore, idp: &str, name: &str, active: bool, github: &str) -> ResourceId {
    let mut attributes = json!({"userName": name, "active": active});
    if !github.is_empty() {
        attributes[ACCOUNTS_URN] = json!({"githubId": github});
    }
    let edit = Edit { attributes: attributes.as_object().unwrap().clone(), ..Edit::default() };
    store.create(&IdpName::from(idp), ResourceKind::User, edit).await.unwrap().resource.id
}

fn asked(query: &[(&'static str, &str)]) -> Vec<(&'static str, Option<String>)> {
    query.iter().map(|(name, value)| (*name, Some((*value).to_owned()))).collect()
}

async fn names(server: &Server, query: &[(&'static str, &str)]) -> (Vec<String>, Option<String>) {
    let page: Listed<UserView> = server.client.get(&["users"], &asked(query)).await.unwrap();
    (page.items.into_iter().map(|user| user.user_name).collect(), page.next)
}

#[tokio::test]
async fn a_walk_over_pages_meets_everybody_of_every_idp_once_whatever_goes_on_meanwhile() {
    let (server, store) = start_real().await;
    let mut ids = Vec::new();
    for (idp, name) in [("okta", "a"), ("entra", "b"), ("okta", "c"), ("entra", "d"), ("okta", "e"), ("entra", "f")] {
        ids.push(user(&store, idp, name, true, "").await);
    }
    let (mut met, mut after) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", "2")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let (page, next) = names(&server, &query).await;
        assert!(page.len() <= 2);
        // Who was shown goes; the walk loses nobody else by it.
        if met.is_empty() {
            store.delete(&"entra".into(), ResourceKind::User, ids[1]).await.unwrap();
        }
        met.extend(page);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(met, ["b", "d", "f", "a", "c", "e"]);
}

#[tokio::test]
async fn a_list_is_of_one_idp_or_of_who_matches_a_filter() {
    let (server, store) = start_real().await;
    user(&store, "okta", "alice", true, "").await;
    user(&store, "okta", "bob", false, "").await;
    user(&store, "entra", "carol", false, "").await;
    assert_eq!(names(&server, &[("idp", "okta")]).await.0, ["alice", "bob"]);
    assert_eq!(names(&server, &[("filter", "active eq false")]).await.0, ["carol", "bob"]);
    assert_eq!(names(&server, &[("filter", "active eq false"), ("limit", "1")]).await.0, ["carol"]);
    assert_eq!(names(&server, &[("filter", "userName eq \"ALICE\"")]).await.0, ["alice"]);
    let refused = async |query: &[(&'static str, &str)]| {
        server.client.get::<Listed<UserView>>(&["users"], &asked(query)).await.unwrap_err().to_string()
    };
    assert!(refused(&[("filter", "active eq")]).await.contains("expected"));
    assert!(refused(&[("idp", "otka")]).await.contains("idp list"));
    assert!(refused(&[("after", "7")]).await.contains("next"));
}

#[tokio::test]
async fn groups_are_listed_with_the_number_of_their_users() {
    let (server, store) = start_real().await;
    let alice = user(&store, "okta", "alice", true, "").await;
    let edit = Edit {
        attributes: json!({"displayName": "deployers"}).as_object().unwrap().clone(),
        members: vec![crate::identity::MemberOp::Add(vec![alice])],
        ..Edit::default()
    };
    store.create(&"okta".into(), ResourceKind::Group, edit).await.unwrap();
    let page: Listed<GroupView> =
        server.client.get(&["groups"], &asked(&[("filter", "displayName sw \"dep\"")])).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].users), (1, 1));
    assert_eq!(names(&server, &[]).await.0, ["alice"]);
}

#[tokio::test]
async fn agents_are_shown_with_who_answers_for_them_and_their_links_say_when_nobody_does() {
    let (server, store) = start_real().await;
    let alice = user(&store, "okta", "alice", true, "").await;
    let edit = Edit {
        attributes: json!({
            "agentUserName": "bot", "active": true, "owners": [{"value": alice.to_string()}],
            ACCOUNTS_URN: {"githubId": "7"},
        })
        .as_object()
        .unwrap()
        .clone(),
        ..Edit::default()
    };
    store.create(&"okta".into(), ResourceKind::Agent, edit).await.unwrap();
    let page: Listed<AgentView> =
        server.client.get(&["agents"], &asked(&[("filter", "active eq true")])).await.unwrap();
    assert_eq!((page.items.len(), &page.items[0].owners[..]), (1, &["alice".to_owned()][..]));
    let shown: AgentView = server.client.get(&["agents", "BOT"], &[]).await.unwrap();
    assert_eq!(shown.who.links, ["github.com/7"]);
    let state = async || -> LinkState {
        let page: Listed<LinkView> = server.client.get(&["links"], &[]).await.unwrap();
        page.items[0].state
    };
    assert_eq!(state().await, LinkState::Linked);
    store.delete(&"okta".into(), ResourceKind::User, alice).await.unwrap();
    assert_eq!(state().await, LinkState::Inactive);
}

#[tokio::test]
async fn links_are_listed_with_what_their_events_meet() {
    let (server, store) = start_real().await;
    user(&store, "okta", "alice", true, "7").await;
    user(&store, "okta", "bob", false, "8").await;
    user(&store, "okta", "carol", true, "9").await;
    user(&store, "okta", "dave", false, "9").await;
    // Nobody takes entra's word for GitHub.
    user(&store, "entra", "eve", true, "10").await;
    let list = async |query: &[(&'static str, &str)]| -> Listed<LinkView> {
        server.client.get(&["links"], &asked(query)).await.unwrap()
    };
    let told = |links: &[LinkView]| links.iter().map(|link| (link.account, link.state)).collect::<Vec<_>>();
    let all = [(7, LinkState::Linked), (8, LinkState::Inactive), (9, LinkState::Ambiguous)];
    assert_eq!(told(&list(&[]).await.items), all);
    assert_eq!(told(&list(&[("denied", "true")]).await.items), all[1..]);
    assert!(list(&[("host", "gitlab.com")]).await.items.is_empty());
    let (mut met, mut after) = (Vec::new(), String::from("github.com 0"));
    for _ in 0..2 {
        let page = list(&[("denied", "true"), ("limit", "1"), ("after", &after)]).await;
        met.extend(told(&page.items));
        after = page.next.unwrap_or_default();
    }
    assert_eq!((&met[..], after.as_str()), (&all[1..], ""));
    let nine: LinkView = server.client.get(&["links", "github.com", "9"], &[]).await.unwrap();
    let holders: BTreeSet<_> = nine.holders.iter().map(|holder| (holder.user_name.as_str(), holder.active)).collect();
    assert_eq!(holders, BTreeSet::from([("carol", true), ("dave", false)]));
    let refused = async |host, account| {
        server.client.get::<LinkView>(&["links", host, account], &[]).await.unwrap_err().to_string()
    };
    assert!(refused("github.com", "10").await.contains("linked to nobody"));
    assert!(refused("github.com", "octocat").await.contains("number"));
    assert!(refused("example.com", "7").await.contains("linkAuthority"));
}
