//! What is so of a server alone. `tests/run/postgres.sh` starts a real one; without it these are left out by name.

use std::thread;

use crate::{
    api::{GrantPhase, RevocationReason as Reason},
    audit::Kind,
    clock::{Clock, system},
    store::{
        GrantSelect,
        sql::{conn::ToColumn, emails, entitlement, grants, members, query, runs, sorted, tests::*},
    },
};

const NEEDS: &str = "needs a PostgreSQL: tests/run/postgres.sh cargo test --lib -- --include-ignored store::postgres";

/// A place of its own.
fn somewhere() -> StoreUrl {
    testing::postgres(tempfile::tempdir().unwrap().path())
}

/// With an option of the session's.
fn with_option(url: &StoreUrl, option: &str) -> StoreUrl {
    let StoreUrl::Postgres(server) = url else { panic!("{NEEDS}") };
    StoreUrl::try_from(format!("{server}%20-c{option}")).unwrap()
}

async fn world() -> World {
    let world = World::open(somewhere()).await.unwrap();
    world.store.create_token(&okta(), SecretHash::of("okta"), None).await.unwrap();
    world
}

/// As an administrator might do it, on a connection of their own.
fn administrate(url: &StoreUrl, sql: &str) {
    let StoreUrl::Postgres(server) = url else { panic!("{NEEDS}") };
    thread::scope(|scope| {
        let work =
            || postgres::Client::connect(&server.to_string(), postgres::NoTls).unwrap().batch_execute(sql).unwrap();
        scope.spawn(work).join().unwrap();
    });
}

/// Every session of ours in this schema is ended: as a restart of the server does it.
async fn hang_up(world: &World) {
    let pids = "SELECT string_agg(pid::text, ',') FROM pg_locks WHERE locktype = 'advisory' AND objid = hashtext(
                current_schema())::oid";
    let pid: String =
        world.store.write(|tx| Ok(tx.prepare_cached(pids)?.query_row(params![], |row| row.get(0))?)).await.unwrap();
    administrate(&world.url, &format!("SELECT pg_terminate_backend({pid}, 5000)"));
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn a_lost_connection_is_made_anew_and_no_write_is_lost_or_refused() {
    let world = world().await;
    let alice = world.user("alice").await;
    for round in 0..3 {
        hang_up(&world).await;
        world.user(&format!("u{round}")).await;
        world.store.get(&okta(), ResourceKind::User, alice).await.unwrap();
    }
    world.audited(0).await;
    assert!(world.store.is_alive());
    assert_eq!(world.directory.lock().unwrap().users().count(), 4);
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn whoever_lost_the_lock_writes_no_more_while_another_has_it() {
    let world = world().await;
    hang_up(&world).await;
    let other = World::open(world.url.clone()).await.unwrap();
    let refused = world.store.create(&okta(), ResourceKind::User, user("alice")).await.unwrap_err().to_string();
    assert!(refused.contains("another scim-tekton has this store open"), "{refused}");
    other.user("bob").await;
    // The other has gone, and has left what this one's Directory was never told.
    other.store.close();
    drop(other);
    let refused = world.store.create(&okta(), ResourceKind::User, user("alice")).await.unwrap_err().to_string();
    assert!(refused.contains("must be restarted"), "{refused}");
    let dead = world.store.ping().await.unwrap_err().to_string();
    assert!(dead.contains("died") && !world.store.is_alive(), "{dead}");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn attack_old_backup_put_back_by_the_servers_own_means_revives_no_leaver_after_restore() {
    let world = world().await;
    let alice = world.user("alice").await;
    world.group("deployers", &[alice]).await;
    world.run("going", alice, &[in_group("deployers")]).await;
    let grant = world.grant("going", "deploy").await;
    assert_eq!(world.decide(alice, "old", "old").await, DecisionOutcome::Recorded);
    let (seq, clock): (_, Clock) = (world.audit_seq().await, system());
    let running = SqlStore::restore(None, &world.url, true, &clock).unwrap_err().to_string();
    assert!(running.contains("has this store open"), "{running}");
    let World { store, url, .. } = world;
    store.close();
    drop(store);
    let file = SqlStore::restore(Some("dump".as_ref()), &url, true, &clock).unwrap_err().to_string();
    assert!(file.contains("pg_restore"), "{file}");
    let done = SqlStore::restore(None, &url, false, &clock).unwrap();
    assert_eq!((done.backup.seq, done.idps), (seq, vec![okta()]));
    assert_eq!((done.runs, done.grants, done.tickets), (1, 1, 2));
    let world = World::open(url).await.unwrap();
    assert!(world.store.standing().await.unwrap().restored);
    assert_eq!(world.audited(seq).await, [Kind::Restored, Kind::RunEnded, Kind::RevocationAsked]);
    assert_eq!(world.decide(alice, "a", "a").await, DecisionOutcome::Unconfirmed(okta()));
    let stored = world.stored(grant.id).await;
    assert_eq!((stored.phase, stored.reason), (GrantPhase::Revoking, Some(Reason::SecurityEvent)));
    let backup = world.store.backup("dump".as_ref()).await.unwrap_err().to_string();
    assert!(backup.contains("pg_dump"), "{backup}");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn what_the_server_is_told_to_acknowledge_early_is_acknowledged_when_it_is_on_the_disk() {
    let world = World::open(with_option(&somewhere(), "synchronous_commit=off")).await.unwrap();
    let asked =
        |tx: &mut Tx<'_>| Ok(tx.prepare_cached("SHOW synchronous_commit")?.query_row(params![], |row| row.get(0))?);
    let level: String = world.store.write(asked).await.unwrap();
    assert_eq!(level, "on");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn foreign_and_newer_databases_are_refused_as_they_are() {
    let foreign = somewhere();
    let schema = |url: &StoreUrl| url.to_string().rsplit("%3D").next().unwrap().to_owned();
    let name = schema(&foreign);
    administrate(&foreign, &format!("CREATE SCHEMA {name}; CREATE TABLE {name}.t (x BIGINT)"));
    let error = World::open(foreign.clone()).await.err().unwrap().to_string();
    assert!(error.contains("another program"), "{error}");
    administrate(&foreign, &format!("SELECT x FROM {name}.t"));

    let newer = somewhere();
    drop(World::open(newer.clone()).await.unwrap());
    administrate(&newer, &format!("UPDATE {}.schema_version SET version = 99", schema(&newer)));
    let error = World::open(newer).await.err().unwrap().to_string();
    assert!(error.contains("newer scim-tekton"), "{error}");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn a_server_that_is_not_there_is_named_and_its_password_is_not() {
    let url = StoreUrl::try_from("postgres://tekton:s3cret@127.0.0.1:1/scim".to_owned()).unwrap();
    let error = World::open(url).await.err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:1/scim") && error.contains("refused"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn a_connection_is_encrypted_where_it_must_be_and_its_server_is_verified() {
    let place = somewhere();
    let with = |query: String| {
        let StoreUrl::Postgres(server) = &place else { panic!("{NEEDS}") };
        StoreUrl::try_from(format!("{server}&{query}")).unwrap()
    };
    let ca = std::env::var("POSTGRES_FOR_TESTS_CA").expect("tests/run/postgres.sh says where");
    let encrypted = |tx: &mut Tx<'_>| {
        let mut select = tx.prepare_cached("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")?;
        Ok(select.query_row(params![], |row| row.get::<bool>(0))?)
    };
    let world = World::open(with(format!("sslmode=verify-full&sslrootcert={ca}"))).await.unwrap();
    assert!(world.store.write(encrypted).await.unwrap());
    world.store.close();
    let plain = World::open(place.clone()).await.unwrap();
    assert!(!plain.store.write(encrypted).await.unwrap(), "it is on this machine");
    plain.store.close();
    // By what the system trusts, nobody vouches for it.
    let unknown = World::open(with("sslmode=require".into())).await.err().unwrap().to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn what_its_text_cannot_hold_is_told_all_the_same() {
    let world = world().await;
    let alice = world.user("alice").await;
    let mut told = decision(world.now(), alice, "t", "e");
    told.reason = "a header with \0 in it".into();
    world.store.record_decision(told).await.unwrap();
    let record = world.store.decision("decision-t").await.unwrap().unwrap();
    assert_eq!(record.reason, "a header with \u{fffd} in it");
}

type Values = fn() -> Vec<Box<dyn ToColumn>>;

fn id() -> Box<dyn ToColumn> {
    Box::new([0_u8; 16])
}

fn number() -> Box<dyn ToColumn> {
    Box::new(1_i64)
}

fn page() -> Vec<Box<dyn ToColumn>> {
    vec![number(), Box::new("User"), number(), number()]
}

#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn what_is_asked_often_goes_by_an_index() {
    let world = world().await;
    let select = |select: &GrantSelect| grants::selection(select).0;
    let due =
        GrantSelect { phases: vec![GrantPhase::Active], expires_before: Some(world.now()), ..GrantSelect::default() };
    let ended = GrantSelect { ended_since: Some(world.now()), ..GrantSelect::default() };
    let cases: [(String, Values); 9] = [
        (select(&due), || vec![Box::new("Active"), number()]),
        (select(&ended), || vec![number()]),
        (format!("{} {}", grants::SELECT, grants::OUTSTANDING), || vec![id()]),
        (format!("SELECT * FROM runs WHERE {}", runs::ENDED_LATELY), || vec![id(), number()]),
        (entitlement::CONCERNED_BELOW.to_owned(), || vec![number()]),
        (query::selection(query::AFTER), page),
        (query::selection(emails::HAVING), || vec![number(), Box::new("User"), Box::new("a"), number(), number()]),
        (query::selection(members::HOLDING), || vec![number(), Box::new("Group"), id(), number(), number()]),
        (query::selection(&sorted::by_name(true)), page),
    ];
    for (sql, values) in cases {
        let explain = move |tx: &mut Tx<'_>| {
            // In an empty table it is cheaper to read the whole; now it is done only where no index serves.
            tx.execute_batch("SET LOCAL enable_seqscan = off")?;
            Ok(tx.prepare_cached(&format!("EXPLAIN {sql}"))?.query_map(values(), |row| row.get::<String>(0))?)
        };
        let plan = world.store.write(explain).await.unwrap().join("\n");
        assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{plan}");
    }
}
