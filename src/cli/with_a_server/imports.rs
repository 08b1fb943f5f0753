//! Imports, as a command does them: files in, resources in the real store.

use std::path::PathBuf;

use super::*;
use crate::{
    cli,
    identity::IdpName,
    server::control::wire::{AgentView, LinkView},
    store::{ListQuery, Start},
};

impl Server {
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command, and says whether it went well.
    async fn run(&self, line: &str, file: &str) -> Result<(), cli::CliError> {
        let file = self.file("import", file);
        let words = line.split(' ').map(|word| if word == "FILE" { file.to_str().unwrap() } else { word });
        let cli = cli::Cli::try_parse_from(std::iter::once("scim-tekton").chain(words)).unwrap();
        cli::ask(&self.client, cli.command).await
    }
}

async fn names(store: &SqlStore, kind: ResourceKind) -> Vec<String> {
    let query = ListQuery {
        idp: IdpName::from("okta"),
        kind,
        filter: None,
        start: Start::Index(1),
        count: 10_000,
        related: false,
    };
    let all = store.list(&query).await.unwrap().resources;
    let mut names: Vec<_> = all.iter().map(|resource| resource.name().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn users_and_groups_of_files_are_there_afterwards() {
    let (server, store) = start_real().await;
    let user = |n: u32| json!({"userName": format!("u{n}"), "externalId": format!("x{n}")}).to_string();
    let users = (0..450).map(user).collect::<Vec<_>>().join("\n");
    for _ in 0..2 {
        server.run("users import FILE --idp okta", &users).await.unwrap();
        assert_eq!(names(&store, ResourceKind::User).await.len(), 450);
    }
    let members: Vec<_> = (0..450).map(|n| json!({"value": format!("x{n}")})).collect();
    let groups = json!({"Resources": [
        {"displayName": "inner", "externalId": "g1", "members": members},
        {"displayName": "outer", "members": [{"value": "g1"}]},
    ]});
    let pretty = serde_json::to_string_pretty(&groups).unwrap();
    server.run("groups import FILE --idp okta --members-by externalId", &pretty).await.unwrap();
    assert_eq!(names(&store, ResourceKind::Group).await, ["inner", "outer"]);
    let outer: GroupWithUsers = server.client.get(&["groups", "outer"], &[]).await.unwrap();
    assert_eq!(outer.members.len(), 450);
}

#[tokio::test]
async fn a_dry_run_of_a_file_writes_nothing_and_fails_where_the_import_would() {
    let (server, store) = start_real().await;
    let good = "{\"userName\": \"a\"}\n{\"userName\": \"b\"}\n";
    server.run("users import FILE --idp okta --dry-run", good).await.unwrap();
    let refused = server.run("users import FILE --idp okta --dry-run", "{\"displayName\": \"c\"}\n").await;
    assert!(matches!(refused, Err(cli::CliError::No)), "{refused:?}");
    assert!(names(&store, ResourceKind::User).await.is_empty());
    server.run("users import FILE --idp okta", good).await.unwrap();
    assert_eq!(names(&store, ResourceKind::User).await, ["a", "b"]);
}

#[tokio::test]
async fn agents_of_a_file_have_their_owners() {
    let (server, _) = start_real().await;
    server.run("users import FILE --idp okta", "{\"userName\": \"alice\"}").await.unwrap();
    let alice: UserView = server.client.get(&["users", "alice"], &[]).await.unwrap();
    let bot = json!({"agentUserName": "bot", "owners": [{"value": alice.id}]}).to_string();
    for _ in 0..2 {
        server.run("agents import FILE --idp okta", &bot).await.unwrap();
    }
    let shown: AgentView = server.client.get(&["agents", "bot"], &[]).await.unwrap();
    assert_eq!(shown.owners, ["alice"]);
}

#[tokio::test]
async fn a_refused_line_fails_the_command_and_no_other_line() {
    let (server, store) = start_real().await;
    let file =
        "{\"userName\": \"a\"}\n{\"displayName\": \"b\"}\n{\"userName\n{\"userName\": \"A\"}\n{\"userName\": \"c\"}\n";
    let outcome = server.run("users import FILE --idp okta", file).await;
    assert!(matches!(outcome, Err(cli::CliError::No)), "{outcome:?}");
    // Neither is somebody who stands there twice.
    assert_eq!(names(&store, ResourceKind::User).await, ["a", "c"]);
}

#[tokio::test]
async fn an_idp_that_nobody_knows_is_said_to_be_one() {
    let (server, _) = start_real().await;
    let error = server.run("users import FILE --idp otka", "{\"userName\": \"a\"}").await.unwrap_err().to_string();
    assert!(error.contains("idp token create otka"), "{error}");
    let error = server.run("users import FILE --idp okta", "a,b\n").await.unwrap_err().to_string();
    assert!(error.contains("import: expected SCIM resources as JSON lines"), "{error}");
}

#[tokio::test]
async fn links_of_a_file_are_written_where_the_hosts_authority_has_them() {
    let (server, store) = start_real().await;
    server.run("users import FILE --idp okta", "{\"userName\": \"alice\"}\n{\"userName\": \"bob\"}").await.unwrap();
    let link = async |account: &str| -> Option<String> {
        let link: LinkView = server.client.get(&["links", "github.com", account], &[]).await.ok()?;
        Some(link.holders[0].user_name.clone())
    };
    let file = "host,id,login,user\ngithub.com,7,octocat,Alice\ngitlab.com,7,,alice\n";
    server.run("links import FILE --dry-run", file).await.unwrap();
    assert_eq!(link("7").await, None);
    server.run("links import FILE", file).await.unwrap();
    assert_eq!(link("7").await.as_deref(), Some("alice"));
    let rows = store.audit_rows(0, 1000).await.unwrap();
    server.run("links import FILE", file).await.unwrap();
    assert_eq!(store.audit_rows(0, 1000).await.unwrap().len(), rows.len(), "run again, it changes nothing");
    assert_eq!(rows.last().unwrap().entry.kind, Kind::UserChanged);

    let id = {
        let user: UserView = server.client.get(&["users", "bob"], &[]).await.unwrap();
        user.id
    };
    let by_id = format!("{{\"host\": \"github.com\", \"id\": 8, \"user\": \"{id}\"}}");
    server.run("links import FILE", &by_id).await.unwrap();
    assert_eq!(link("8").await.as_deref(), Some("bob"));
    // A new number takes the place of the old one.
    server.run("links import FILE", "host,id,user\ngithub.com,9,bob").await.unwrap();
    assert_eq!((link("8").await, link("9").await.as_deref()), (None, Some("bob")));
}

#[tokio::test]
async fn of_a_file_of_links_with_a_bad_line_nothing_is_taken_unless_that_is_asked_for() {
    let (server, store) = start_real().await;
    server.run("users import FILE --idp okta", "{\"userName\": \"alice\"}\n{\"userName\": \"bob\"}").await.unwrap();
    server.run("users import FILE --idp entra", "{\"userName\": \"eve\"}").await.unwrap();
    server.run("links import FILE", "host,id,user\ngithub.com,1,bob").await.unwrap();
    let rows = async || store.audit_rows(0, 1000).await.unwrap().len();
    let before = rows().await;
    let id = {
        let user: UserView = server.client.get(&["users", "alice"], &[]).await.unwrap();
        user.id
    };
    for bad in [
        "github.com,octocat,bob".to_owned(),
        "github.com,8,zoe".into(),
        "github.com,8,eve".into(),
        "example.com,8,alice".into(),
        format!("github.com,8,{id}"),
    ] {
        let file = format!("host,id,user\ngithub.com,7,alice\n{bad}\n");
        let outcome = server.run("links import FILE", &file).await;
        assert!(matches!(outcome, Err(cli::CliError::No)), "{bad}: {outcome:?}");
        assert_eq!(rows().await, before, "{bad}");
    }
    // Two holders would both be denied.
    let outcome = server.run("links import FILE", "host,id,user\ngithub.com,1,alice\n").await;
    assert!(matches!(outcome, Err(cli::CliError::No)), "{outcome:?}");
    let file = "host,id,user\ngithub.com,1,alice\ngithub.com,7,alice\n";
    let outcome = server.run("links import FILE --keep-going", file).await;
    assert!(matches!(outcome, Err(cli::CliError::No)), "{outcome:?}");
    let link: LinkView = server.client.get(&["links", "github.com", "7"], &[]).await.unwrap();
    assert_eq!(link.holders[0].user_name, "alice");
}
