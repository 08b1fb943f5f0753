//! Imports.

use serde_json::{Value, json};

use super::app::{App, Recorder};
use crate::{
    identity::ResourceKind,
    scim::{IdpSettings, Import, Imported, MembersBy, Settings, import},
    store::Store as _,
};

impl App {
    async fn import(&self, kind: ResourceKind, members_by: MembersBy, resources: Vec<Value>) -> Vec<Imported> {
        let dry_run = false;
        import(&self.state, Import { idp: "okta".into(), kind, resources, members_by, dry_run }).await.unwrap()
    }

    /// What an import would do.
    async fn trial(&self, kind: ResourceKind, resources: Vec<Value>) -> Vec<Imported> {
        let (members_by, dry_run) = (MembersBy::ExternalId, true);
        import(&self.state, Import { idp: "okta".into(), kind, resources, members_by, dry_run }).await.unwrap()
    }

    async fn import_users(&self, users: Vec<Value>) -> Vec<Imported> {
        self.import(ResourceKind::User, MembersBy::Id, users).await
    }
}

fn words(outcomes: &[Imported]) -> Vec<&'static str> {
    let word = |outcome: &Imported| match outcome {
        Imported::Created(_) => "created",
        Imported::Changed(_) => "changed",
        Imported::Unchanged(_) => "unchanged",
        Imported::Refused(_) => "refused",
    };
    outcomes.iter().map(word).collect()
}

fn refusal(outcomes: &[Imported]) -> &str {
    match outcomes {
        [Imported::Refused(why)] => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_import_that_is_run_again_changes_nothing() {
    let app = App::new().await;
    let file = vec![
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "7", "externalId": "x1", "userName": "alice",
            "name": {"givenName": "Alice", "familyName": null}, "emails": [{"value": "a@b.c", "primary": true}],
            "groups": [{"value": "g"}], "meta": {"resourceType": "User", "version": "W/\"9\""},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "d", "manager": {"value": "m"}},
            "urn:acme:scim:1.0": {"badge": 7},
        }),
        json!({"userName": "bob", "active": "False", "password": "s3cret"}),
    ];
    assert_eq!(words(&app.import_users(file.clone()).await), ["created", "created"]);
    let before = app.get("/Users").await.body;
    assert_eq!(words(&app.import_users(file).await), ["unchanged", "unchanged"]);
    assert_eq!(app.get("/Users").await.body, before);
    let of = |name: &str| before["Resources"].as_array().unwrap().iter().find(|user| user["userName"] == name).unwrap();
    assert_eq!(of("alice")["urn:acme:scim:1.0"], json!({"badge": 7}));
    assert_eq!(of("bob")["active"], false);
}

#[tokio::test]
async fn what_a_file_does_not_speak_of_stays() {
    let app = App::new().await;
    let user = json!({"userName": "alice", "externalId": "x1", "title": "t", "nickName": "n", "active": false});
    let id = app.post("/Users", user).await.id();
    let outcomes = app.import_users(vec![json!({"userName": "ALICE", "title": null, "displayName": "A"})]).await;
    assert_eq!(words(&outcomes), ["changed"]);
    let after = app.get(&format!("/Users/{id}")).await.body;
    let told = ["userName", "externalId", "nickName", "displayName"].map(|name| after[name].as_str().unwrap());
    assert_eq!((told, &after["active"], after.get("title")), (["ALICE", "x1", "n", "A"], &json!(false), None));
}

#[tokio::test]
async fn somebody_is_found_by_external_id_and_then_by_name_and_never_taken_for_another() {
    let app = App::new().await;
    let id = app.user("alice").await;
    let renamed = app.import_users(vec![json!({"userName": "alice2", "externalId": "ext-alice"})]).await;
    assert_eq!(renamed, [Imported::Changed(id.parse().unwrap())]);
    let another = app.import_users(vec![json!({"userName": "alice2", "externalId": "x9"})]).await;
    assert!(refusal(&another).contains("taken by another User, with externalId \"ext-alice\""), "{another:?}");
    // Who has none yet gets it.
    app.post("/Users", json!({"userName": "bob"})).await;
    assert_eq!(words(&app.import_users(vec![json!({"userName": "bob", "externalId": "x2"})]).await), ["changed"]);
    // Another identity provider's people are nobody here.
    app.call_as_other("POST", "/Users", Some(json!({"userName": "carol", "externalId": "x3"}))).await;
    assert_eq!(words(&app.import_users(vec![json!({"userName": "carol", "externalId": "x3"})]).await), ["created"]);
}

#[tokio::test]
async fn what_can_not_be_is_refused_and_takes_nothing_with_it() {
    let app = App::new().await;
    let file = vec![
        json!({"userName": "alice"}),
        json!({"displayName": "no name"}),
        json!("bob"),
        json!({"userName": "carol", "active": "maybe"}),
        json!({"userName": "dave", "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]}),
        json!({"userName": "eve", "meta": {"resourceType": "Group"}}),
        json!({"userName": "frank"}),
    ];
    let outcomes = app.import_users(file).await;
    assert_eq!(words(&outcomes), ["created", "refused", "refused", "refused", "refused", "refused", "created"]);
    for (outcome, expected) in
        outcomes[1..6].iter().zip(["userName", "User object", "true or false", "core:2.0:User", "a Group"])
    {
        assert!(refusal(std::slice::from_ref(outcome)).contains(expected), "{outcome:?}");
    }
    assert_eq!(app.get("/Users").await.body["totalResults"], 2);
}

#[tokio::test]
async fn members_are_named_by_what_the_import_says() {
    let app = App::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let group = |members: &[&str]| {
        let members: Vec<_> = members.iter().map(|value| json!({"value": value})).collect();
        vec![json!({"displayName": "g", "externalId": "ext-g", "members": members})]
    };
    let by = async |by, file| app.import(ResourceKind::Group, by, file).await;
    let members = async || {
        let body = app.get("/Groups?filter=displayName%20eq%20%22g%22").await.body;
        let all = body["Resources"][0]["members"].as_array().cloned().unwrap_or_default();
        all.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words(&by(MembersBy::ExternalId, group(&["ext-alice", "ext-bob"])).await), ["created"]);
    assert_eq!(members().await, [alice.clone(), bob.clone()]);
    assert_eq!(words(&by(MembersBy::Id, group(&[&bob, &alice])).await), ["unchanged"]);
    assert_eq!(words(&by(MembersBy::UserName, group(&["Bob"])).await), ["changed"]);
    assert_eq!(members().await, [bob.as_str()]);
    // Of whom a file doesn't speak, they stay; an empty list says that nobody is in it.
    assert_eq!(words(&by(MembersBy::Id, vec![json!({"displayName": "g", "members": null})]).await), ["unchanged"]);
    let unknown = by(MembersBy::UserName, group(&["bob", "zoe"])).await;
    assert!(refusal(&unknown).contains("nobody of okta has the userName \"zoe\""), "{unknown:?}");
    assert_eq!(members().await, [bob.as_str()]);
    assert_eq!(words(&by(MembersBy::Id, group(&[])).await), ["changed"]);
    assert!(members().await.is_empty());
    // A group in a group that stands before it.
    let nested = json!({"displayName": "outer", "members": [{"value": "ext-g"}]});
    assert_eq!(words(&by(MembersBy::ExternalId, vec![nested]).await), ["created"]);
}

#[tokio::test]
async fn members_that_are_nobody_are_left_out_where_the_idp_is_set_so() {
    let default = IdpSettings { skip_unknown_members: true, ..IdpSettings::default() };
    let app = App::with(Recorder::default(), Settings { default, ..Settings::default() }).await;
    app.user("alice").await;
    let group = json!({"displayName": "g", "members": [{"value": "ext-alice"}, {"value": "zoe"}]});
    assert_eq!(words(&app.import(ResourceKind::Group, MembersBy::ExternalId, vec![group]).await), ["created"]);
    assert_eq!(app.get("/Groups").await.body["Resources"][0]["members"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_dry_run_says_of_each_line_what_its_import_then_does_and_writes_nothing() {
    let app = App::new().await;
    for name in ["ann", "bob", "cid", "dan"] {
        app.user(name).await;
    }
    app.group("there", &[]).await;
    let users = vec![
        json!({"userName": "new", "externalId": "ext-new"}),
        json!({"userName": "ann", "externalId": "ext-ann"}),
        json!({"userName": "bob", "active": "False"}),
        json!({"userName": "bob", "externalId": "ext-cid"}),
        json!({"userName": "dan", "externalId": "ext-another"}),
        json!({"displayName": "no name"}),
    ];
    let groups = vec![
        json!({"displayName": "fresh", "members": [{"value": "ext-ann"}]}),
        json!({"displayName": "there", "members": [{"value": "ext-ann"}]}),
        json!({"displayName": "there", "members": []}),
        json!({"displayName": "there", "members": [{"value": "nobody"}]}),
    ];
    let before = (app.get("/Users").await.body, app.get("/Groups").await.body);
    let rows = app.store.audit_rows(0, 1_000).await.unwrap();
    let tried = app.trial(ResourceKind::User, users.clone()).await;
    assert_eq!(words(&tried), ["created", "unchanged", "changed", "refused", "refused", "refused"]);
    let tried_groups = app.trial(ResourceKind::Group, groups.clone()).await;
    assert_eq!(words(&tried_groups), ["created", "changed", "unchanged", "refused"]);
    assert_eq!((app.get("/Users").await.body, app.get("/Groups").await.body), before);
    assert_eq!(app.store.audit_rows(0, 1_000).await.unwrap(), rows);
    assert!(app.enforced.seen.lock().unwrap().iter().all(|seen| seen.changed), "the trial enforced nothing");
    // The same lines, each on its own, in earnest.
    for (line, tried) in users.into_iter().zip(tried) {
        let done = app.import_users(vec![line]).await;
        assert_eq!(words(&done), words(std::slice::from_ref(&tried)));
        if let (Imported::Refused(done), Imported::Refused(tried)) = (&done[0], &tried) {
            assert_eq!(done, tried);
        }
    }
    for (line, tried) in groups.into_iter().zip(tried_groups).take(2) {
        let done = app.import(ResourceKind::Group, MembersBy::ExternalId, vec![line]).await;
        assert_eq!(words(&done), words(&[tried]));
    }
}

#[tokio::test]
async fn an_import_is_answered_after_what_it_takes_away_is_gone_and_its_groups_are_followed_once() {
    let app = App::new().await;
    app.import_users(vec![json!({"userName": "alice"}), json!({"userName": "bob"})]).await;
    let seen = app.enforced.seen.lock().unwrap().clone();
    let changes: Vec<_> = seen.iter().map(|provisioned| provisioned.changes.len()).collect();
    assert_eq!(changes, [2]);
    let gated = Recorder { gate: Some(tokio::sync::Semaphore::new(0)), ..Recorder::default() };
    let app = App::with(gated, Settings::default()).await;
    let under_way = app.import_users(vec![json!({"userName": "alice"})]);
    tokio::pin!(under_way);
    let wait = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(wait, &mut under_way).await.is_err(), "not before it is enforced");
    app.enforced.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(words(&under_way.await), ["created"]);
}
