//! The client against the control API, over a real socket.

mod imports;
mod people;

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use chrono::{DateTime, Duration};
use clap::Parser as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::client::{Client, ClientError};
use crate::{
    audit::{self, Kind},
    clock::Clock,
    config::StoreUrl,
    directory::{Change, Directory, DirectoryCell, LinkAuthority},
    fake::{FakeStore, run_and_grant},
    identity::{Resource, ResourceId, ResourceKind, schema::ACCOUNTS_URN},
    revocation::NothingToEnforce,
    scim::{self, ScimState},
    server::control::{
        ControlState, Effects, SocketError, bind_unix, router, serve_unix,
        wire::{
            AuditPage, BackupRequest, Checkup, Confirmed, DecisionView, GroupWithUsers, NewToken, RevokeAnswer,
            RevokeRequest, TokenMade, UserView, Verdict,
        },
    },
    store::{AuditHead, IdpRecord, Revocations, SqlStore, Store, testing},
    ticket::{SecretHash, well_formed},
};

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

#[async_trait]
impl Effects for Seen {
    async fn revoke(&self, revocations: Revocations) {
        let line = format!("{} grants, {} runs", revocations.grants.len(), revocations.runs.len());
        self.0.lock().unwrap().push(line);
    }
    async fn tokens_changed(&self) {
        self.0.lock().unwrap().push("tokens".into());
    }
}

struct Server {
    client: Client,
    store: Arc<FakeStore>,
    seen: Arc<Seen>,
    folder: TempDir,
    _stop: oneshot::Sender<()>,
}

fn resource(kind: ResourceKind, idp: &str, id: u128, name: &str) -> Change {
    Change::Put(Box::new(Resource {
        id: ResourceId(Uuid::from_u128(id)),
        kind,
        idp: idp.into(),
        external_id: None,
        attributes: json!({kind.name_attribute(): name}).as_object().unwrap().clone(),
        version: 1,
        created: DateTime::UNIX_EPOCH,
        last_modified: DateTime::UNIX_EPOCH,
    }))
}

fn person(id: u128) -> ResourceId {
    ResourceId(Uuid::from_u128(id))
}

fn start() -> Server {
    let store = Arc::new(FakeStore::default());
    start_with(store.clone(), store)
}

fn start_with(store: Arc<dyn Store>, fake: Arc<FakeStore>) -> Server {
    let mut directory = Directory::default();
    let changes = [
        Change::Idp("okta".into()),
        Change::Idp("entra".into()),
        resource(ResourceKind::User, "okta", 1, "alice@example.com"),
        resource(ResourceKind::User, "okta", 2, "bob/../x?y"),
        resource(ResourceKind::User, "entra", 3, "alice@example.com"),
        resource(ResourceKind::Group, "okta", 4, "deployers"),
        Change::Members { group: person(4), added: vec![person(1), person(2)], removed: vec![] },
        resource(ResourceKind::Agent, "okta", 5, "release-bot"),
    ];
    directory.apply(1, &changes);
    serve(store, fake, Arc::new(ArcSwap::from_pointee(directory)), tempfile::tempdir().unwrap())
}

/// Over the real store, which the Directory follows; okta's word is taken for GitHub.
async fn start_real() -> (Server, Arc<SqlStore>) {
    let authority = |host: &str, attribute: &str| LinkAuthority {
        host: host.into(),
        idp: "okta".into(),
        schema: ACCOUNTS_URN.into(),
        attribute: attribute.into(),
    };
    let authorities = vec![authority("github.com", "githubId"), authority("gitlab.com", "gitlabId")];
    let directory: DirectoryCell = Arc::new(ArcSwap::from_pointee(Directory::new(authorities)));
    let (cell, folder) = (directory.clone(), tempfile::tempdir().unwrap());
    let on_commit = Box::new(move |seq: i64, changes: &[Change]| {
        let mut next = Directory::clone(&cell.load());
        next.apply(seq, changes);
        cell.store(Arc::new(next));
    });
    let store = SqlStore::open(&testing::url(&folder.path().join("s.db")), crate::clock::system(), on_commit).unwrap();
    for idp in ["entra", "okta"] {
        store.create_token(&idp.into(), SecretHash::of(idp), None).await.unwrap();
    }
    (serve(store.clone(), Arc::default(), directory, folder), store)
}

fn serve(store: Arc<dyn Store>, fake: Arc<FakeStore>, directory: DirectoryCell, folder: TempDir) -> Server {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let seen = Arc::new(Seen::default());
    let clock: Clock = Arc::new(|| DateTime::UNIX_EPOCH);
    let (tokens, settings) = (Arc::default(), scim::Settings { agents: true, ..scim::Settings::default() });
    let scim = ScimState::new(store.clone(), clock.clone(), Arc::new(NothingToEnforce), tokens, "", settings);
    let state = ControlState {
        store,
        directory,
        catalog: Arc::default(),
        settings: Arc::default(),
        cluster: None,
        issuer: None,
        clock,
        scim,
        effects: seen.clone(),
    };
    let path = folder.path().join("inner/c.sock");
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = bind_unix(&path).unwrap();
    let served = axum::serve(listener, router(state)).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    tokio::spawn(served.into_future());
    Server { client: Client::new(path).unwrap(), store: fake, seen, folder, _stop: stop }
}

#[tokio::test]
async fn a_token_is_shown_once_and_its_hash_is_kept() {
    let server = start();
    let new = NewToken { idp: "okta".parse().unwrap(), expires_in: 60 };
    let made: TokenMade = server.client.post(&["tokens"], &new).await.unwrap();
    assert!(well_formed("scimidp_", &made.token));
    assert_eq!(server.store.tokens.lock().unwrap()[0].hash, Some(SecretHash::of(&made.token)));
    assert_eq!(made.record.expires_at, Some(DateTime::UNIX_EPOCH + Duration::seconds(60)));
    let listed: Value = server.client.get(&["tokens"], &[]).await.unwrap();
    assert!(!listed.to_string().contains(&made.token) && !listed.to_string().contains("hash"), "{listed}");
    let _: Value = server.client.post(&["tokens", "t1", "revoke"], &()).await.unwrap();
    assert_eq!(*server.seen.0.lock().unwrap(), ["tokens", "tokens"]);
    let error = server.client.post::<Value>(&["tokens", "t9", "revoke"], &()).await.unwrap_err();
    assert_eq!(error.to_string(), "token t9 does not exist");
    let bad = json!({"idp": "Okta 1", "expiresIn": 60});
    assert!(server.client.post::<Value>(&["tokens"], &bad).await.unwrap_err().to_string().contains("lower-case"));
    let bad = json!({"idp": "okta", "expiresIn": -1});
    assert!(matches!(server.client.post::<Value>(&["tokens"], &bad).await, Err(ClientError::Refused(_))));
}

#[tokio::test]
async fn people_are_found_by_name_and_an_ambiguous_name_is_said() {
    let server = start();
    let bob: UserView = server.client.get(&["users", "bob/../x?y"], &[]).await.unwrap();
    assert_eq!((bob.id, &bob.groups[..]), (person(2), &["deployers".to_owned()][..]));
    let error = server.client.get::<UserView>(&["users", "alice@example.com"], &[]).await.unwrap_err().to_string();
    assert!(error.contains("--idp") && error.contains("okta") && error.contains("entra"), "{error}");
    let entra = [("idp", Some("entra".into()))];
    let alice: UserView = server.client.get(&["users", "ALICE@example.com"], &entra).await.unwrap();
    assert_eq!(alice.id, person(3));
    let error = server.client.get::<UserView>(&["users", "carol"], &[]).await.unwrap_err().to_string();
    assert!(error.contains("users list"), "{error}");
    let group: GroupWithUsers = server.client.get(&["groups", "deployers"], &[]).await.unwrap();
    assert_eq!((group.group.users, group.members.len()), (2, 2));
}

#[tokio::test]
async fn the_kill_switch_takes_runs_and_their_grants() {
    let server = start();
    for (run, user) in [("a", 1), ("b", 2)] {
        let (run, grant) = run_and_grant(run, person(user), DateTime::UNIX_EPOCH);
        server.store.runs.lock().unwrap().push(run);
        server.store.grants.lock().unwrap().push(grant);
    }
    let client = &server.client;
    let revoke =
        |request: RevokeRequest| async move { client.post::<RevokeAnswer>(&["grants", "revoke"], &request).await };
    let error = revoke(RevokeRequest::default()).await.unwrap_err().to_string();
    assert!(error.contains("exactly one"), "{error}");
    let by_run = RevokeRequest { run: Some("prod/a".into()), ..RevokeRequest::default() };
    let answer = revoke(by_run).await.unwrap();
    assert_eq!((answer.grants.len(), &answer.runs[..]), (1, &["prod/a".to_owned()][..]));
    assert_eq!(answer.grants[0].user, person(1));
    let answer = revoke(RevokeRequest { all: true, ..RevokeRequest::default() }).await.unwrap();
    assert_eq!((answer.grants.len(), answer.runs.len()), (2, 2));
    assert_eq!(*server.seen.0.lock().unwrap(), ["1 grants, 1 runs", "2 grants, 2 runs"]);
    let id = server.store.grants.lock().unwrap()[0].id.to_string();
    let shown: Value = server.client.get(&["grants", &id], &[]).await.unwrap();
    assert_eq!(shown["phase"], "Revoking");
}

#[tokio::test]
async fn the_kill_switch_knows_an_agent_by_its_name() {
    let server = start();
    let (run, grant) = run_and_grant("a", person(5), DateTime::UNIX_EPOCH);
    server.store.runs.lock().unwrap().push(run);
    server.store.grants.lock().unwrap().push(grant);
    let revoke = RevokeRequest { user: Some("Release-Bot".into()), ..RevokeRequest::default() };
    let answer: RevokeAnswer = server.client.post(&["grants", "revoke"], &revoke).await.unwrap();
    assert_eq!(answer.grants.len(), 1);
    assert!(server.client.get::<UserView>(&["users", "release-bot"], &[]).await.is_err(), "it is no user");
}

#[tokio::test]
async fn the_newest_rows_of_any_log_are_found() {
    let server = start();
    let mut previous = audit::GENESIS.to_owned();
    for seq in 1..=70 {
        let last = [("last", Some("3".to_owned()))];
        let page: AuditPage = server.client.get(&["audit"], &last).await.unwrap();
        let seen: Vec<_> = page.rows.iter().map(|row| row.seq).collect();
        assert_eq!(seen, ((seq - 3).max(1)..seq).collect::<Vec<_>>());
        let mut entry = audit::Entry::new(Kind::UserChanged);
        entry.user = Some(person(1));
        let hash = audit::link(&previous, seq, DateTime::UNIX_EPOCH, &entry);
        previous.clone_from(&hash);
        server.store.audit.lock().unwrap().push(audit::Row { seq, at: DateTime::UNIX_EPOCH, entry, hash });
    }
    let page: AuditPage = server.client.get(&["audit"], &[("after", Some("60".into()))]).await.unwrap();
    assert_eq!(page.rows.len(), 10);
    assert_eq!(page.people[&person(1)], "alice@example.com");
}

#[tokio::test]
async fn the_socket_is_ours_alone_and_has_one_server() {
    let server = start();
    let path = server.folder.path().join("inner/c.sock");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1);
    assert!(matches!(bind_unix(&path), Err(SocketError::Taken(_))));
    let file = server.folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(bind_unix(&file), Err(SocketError::NoSocket(_))));
    // A listener that is dropped leaves its file behind, as a killed server does.
    let stale = server.folder.path().join("stale.sock");
    drop(bind_unix(&stale).unwrap());
    assert!(stale.exists());
    serve_unix(&stale, axum::Router::new(), async {}).await.unwrap();
    assert!(!stale.exists());
}

#[tokio::test]
async fn without_a_server_the_way_to_one_is_said() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::new("/nowhere/c.sock".into()).unwrap();
    let error = client.get::<Value>(&["tokens"], &[]).await.unwrap_err().to_string();
    assert!(error.contains("no server answers at /nowhere/c.sock: is `scim-tekton serve` running?"), "{error}");
    assert!(error.contains("kubectl"), "{error}");
}

#[tokio::test]
async fn with_the_real_store_two_tokens_are_the_most_and_the_log_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open(
        &testing::url(&folder.path().join("s.db")),
        Arc::new(|| DateTime::UNIX_EPOCH),
        Box::new(|_, _| {}),
    );
    let server = start_with(store.unwrap(), Arc::default());
    let make = || async {
        let new = NewToken { idp: "okta".parse().unwrap(), expires_in: 60 };
        server.client.post::<TokenMade>(&["tokens"], &new).await
    };
    let first = make().await.unwrap();
    make().await.unwrap();
    let third = make().await.map(|_| ()).unwrap_err().to_string();
    assert!(third.contains("2 live tokens"), "{third}");
    let _: Value = server.client.post(&["tokens", &first.record.id, "revoke"], &()).await.unwrap();
    make().await.unwrap();
    let page: AuditPage = server.client.get(&["audit"], &[]).await.unwrap();
    let mut verifier = audit::Verifier::default();
    page.rows.iter().for_each(|row| verifier.push(row).unwrap());
    let kinds: Vec<_> = page.rows.iter().map(|row| row.entry.kind).collect();
    assert_eq!(kinds, [Kind::TokenCreated, Kind::TokenCreated, Kind::TokenRevoked, Kind::TokenCreated]);
}

#[tokio::test]
async fn a_backup_is_taken_from_a_running_server_and_a_restored_idp_is_confirmed() {
    let clock: crate::clock::Clock = Arc::new(|| DateTime::UNIX_EPOCH);
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("s.db"), folder.path().join("backup.db"));
    let open = || SqlStore::open(&StoreUrl::Sqlite(path.clone()), clock.clone(), Box::new(|_, _| {})).unwrap();
    {
        let server = start_with(open(), Arc::default());
        let new = NewToken { idp: "okta".parse().unwrap(), expires_in: 60 };
        let _: TokenMade = server.client.post(&["tokens"], &new).await.unwrap();
        let backup = |file: &std::path::Path| BackupRequest { file: file.to_owned() };
        let head: AuditHead = server.client.post(&["backup"], &backup(&file)).await.unwrap();
        assert_eq!(head.seq, 1);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let error = server.client.post::<AuditHead>(&["backup"], &backup(&file)).await.unwrap_err().to_string();
        assert!(error.contains("overwrites nothing"), "{error}");
        let relative = backup("b.db".as_ref());
        let error = server.client.post::<AuditHead>(&["backup"], &relative).await.unwrap_err().to_string();
        assert!(error.contains("absolute"), "{error}");
    }
    let restored = folder.path().join("restored.db");
    let config = folder.path().join("c.yaml");
    std::fs::write(&config, format!("store: sqlite://{}", restored.display())).unwrap();
    let restore = |flags: &[&str]| {
        let args = ["scim-tekton", "--config", config.to_str().unwrap(), "restore", file.to_str().unwrap()];
        super::execute(super::Cli::try_parse_from(args.iter().chain(flags)).unwrap())
    };
    restore(&[]).unwrap();
    assert!(restore(&[]).unwrap_err().to_string().contains("--force"));
    restore(&["--force"]).unwrap();
    let store = SqlStore::open(&StoreUrl::Sqlite(restored), clock.clone(), Box::new(|_, _| {})).unwrap();
    let server = start_with(store, Arc::default());
    let idps: Vec<IdpRecord> = server.client.get(&["idps"], &[]).await.unwrap();
    assert!(idps[0].unconfirmed_since.is_some());
    let confirm = |idp: &'static str| {
        let client = &server.client;
        async move { client.post::<Confirmed>(&["idps", idp, "confirm"], &()).await.map(|it| it.lifted) }
    };
    assert!(confirm("okta").await.unwrap());
    assert!(!confirm("okta").await.unwrap());
    assert!(confirm("entra").await.unwrap_err().to_string().contains("does not exist"));
    let idps: Vec<IdpRecord> = server.client.get(&["idps"], &[]).await.unwrap();
    assert_eq!(idps[0].unconfirmed_since, None);
}

#[tokio::test]
async fn a_recorded_event_is_decided_by_the_server_and_recorded_nowhere() {
    let server = start();
    let request = json!({
        "body": "x".repeat(3 << 20), "interceptor_params": {"policy": "deploy"},
        "context": {"trigger_id": "namespaces/prod/triggers/push"},
    });
    let decision: DecisionView = server.client.post(&["explain"], &request).await.unwrap();
    assert_eq!((decision.record.id.as_str(), decision.record.reason_code.as_str()), ("", "UnknownTrigger"));
    let checks: Vec<_> = decision.record.trace.iter().map(|step| (step.check.as_str(), step.ok)).collect();
    assert_eq!(checks, [("policy param", true), ("trigger", false)]);
    let error = server.client.post::<DecisionView>(&["explain"], &json!([1])).await.unwrap_err().to_string();
    assert!(error.contains("expected an InterceptorRequest"), "{error}");
}

#[tokio::test]
async fn doctor_looks_at_everything_that_a_server_without_a_cluster_has() {
    let server = start();
    let checkup: Checkup = server.client.get(&["doctor"], &[]).await.unwrap();
    let found: Vec<_> = checkup.findings.iter().map(|found| (found.check.as_str(), found.verdict)).collect();
    let expected = [
        ("store", Verdict::Ok),
        ("audit log", Verdict::Ok),
        ("clock", Verdict::Ok),
        ("directory", Verdict::Ok),
        ("idp entra", Verdict::Warn),
        ("idp okta", Verdict::Warn),
        ("revocations", Verdict::Ok),
        ("cluster", Verdict::Warn),
        ("event sources", Verdict::Warn),
        ("triggers", Verdict::Ok),
    ];
    assert_eq!(found, expected);
    assert!(checkup.findings.iter().all(|found| found.mend.is_some() == (found.verdict != Verdict::Ok)));
}
