//! Backup and restore: a backup knows nothing of who has left since, so nothing of it gives anybody anything.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;

use super::*;
use crate::{
    api::{GrantPhase, RevocationReason as Reason},
    audit::Kind,
    store::{AuditHead, Restored},
};

impl World {
    async fn backup(&self) -> (PathBuf, AuditHead) {
        let file = self.path().with_file_name("backup.db");
        let head = self.store.backup(&file).await.unwrap();
        (file, head)
    }

    /// Stopped, restored from a backup, started again.
    async fn restored(self, backup: &Path) -> (Self, Restored) {
        let path = self.path();
        let Self { store, dir, now, .. } = self;
        store.close();
        drop(store);
        let now = *now.lock().unwrap();
        let done = SqlStore::restore(
            Some(backup),
            &StoreUrl::Sqlite(path.clone()),
            true,
            &(Arc::new(move || now) as crate::clock::Clock),
        )
        .unwrap();
        let mut world = Self::open(StoreUrl::Sqlite(path)).await.unwrap();
        (world.dir, *world.now.lock().unwrap()) = (dir, now);
        (world, done)
    }

    async fn deactivate(&self, user: ResourceId) {
        self.set(ResourceKind::User, user, "active", json!(false)).await;
    }

    async fn refused(&self, uid: &str, ticket: &str) -> String {
        match self.store.redeem(request(self.now(), uid, ticket, &[in_group("deployers")])).await.unwrap() {
            Redemption::Refused(sentence) => sentence,
            Redemption::Redeemed(run) => panic!("{run:?}"),
        }
    }
}

/// Alice and Bob in `deployers`; a run of Alice's with an Active Grant; a ticket of Bob's.
async fn deployers() -> (World, [ResourceId; 2], GrantRecord) {
    let world = World::in_a_file().await;
    let people = [world.user("alice").await, world.user("bob").await];
    world.group("deployers", &people).await;
    world.run("going", people[0], &[in_group("deployers")]).await;
    let grant = world.grant("going", "deploy").await;
    assert_eq!(world.decide(people[1], "old", "old").await, DecisionOutcome::Recorded);
    (world, people, grant)
}

#[tokio::test]
async fn attack_old_backup_restored_revives_no_leaver() {
    let (world, [alice, bob], grant) = deployers().await;
    let (file, head) = world.backup().await;
    world.deactivate(alice).await;
    assert_eq!(world.stored(grant.id).await.reason, Some(Reason::UserDeactivated));
    let spent = request(world.now(), "spent", "old", &[in_group("deployers")]);
    assert!(matches!(world.store.redeem(spent).await.unwrap(), Redemption::Redeemed(_)));
    let epoch = world.epoch().await;

    let (world, done) = world.restored(&file).await;
    assert_eq!((done.backup, done.idps), (head.clone(), vec![okta()]));
    assert_eq!((done.runs, done.grants, done.tickets, done.tokens), (1, 1, 2, vec!["okta-1".to_owned()]));
    assert!(world.epoch().await >= epoch, "the backup's epoch was one less");
    assert!(world.directory.lock().unwrap().user(alice).unwrap().active, "so says the backup");
    let kinds = world.audited(head.seq).await;
    assert_eq!(kinds, [Kind::Restored, Kind::RunEnded, Kind::RevocationAsked]);

    // Whoever was there, and whoever has left, are not told apart until somebody confirms it.
    for (person, ticket) in [(alice, "a"), (bob, "b")] {
        assert_eq!(world.decide(person, ticket, ticket).await, DecisionOutcome::Unconfirmed(okta()));
        let record = world.store.decision(&format!("decision-{ticket}")).await.unwrap().unwrap();
        assert_eq!((record.allowed, record.reason_code.as_str()), (false, "IdpNotConfirmed"));
        let why =
            "the identity provider okta has not been confirmed since a backup was restored: ask the platform team";
        assert_eq!((record.reason.as_str(), record.trace.last().unwrap().found.as_str()), (why, why));
    }
    assert!(!world.directory.lock().unwrap().is_confirmed(&okta()));
    let sentence = world.refused("again", "old").await;
    assert!(
        sentence.contains("restored from a backup, and void since"),
        "a spent ticket is not spent again: {sentence}"
    );
    let stored = world.stored(grant.id).await;
    assert_eq!((stored.phase, stored.reason), (GrantPhase::Revoking, Some(Reason::SecurityEvent)));
    let cancel = world.store.runs_to_cancel().await.unwrap();
    assert_eq!(cancel.iter().map(|run| run.uid.as_str()).collect::<Vec<_>>(), ["going"]);

    // The IdP provisions meanwhile, and tells who has left.
    world.deactivate(alice).await;
    assert!(world.store.confirm_idp(&okta()).await.unwrap());
    assert!(!world.store.confirm_idp(&okta()).await.unwrap(), "once");
    assert!(world.directory.lock().unwrap().is_confirmed(&okta()));
    assert_eq!(world.store.idps().await.unwrap()[0].unconfirmed_since, None);
    assert_eq!(world.audited(head.seq).await.last(), Some(&Kind::IdpConfirmed));
    assert_eq!(world.decide(alice, "a2", "a2").await, DecisionOutcome::NotActive);
    world.run("new", bob, &[in_group("deployers")]).await;
    world.grant("new", "deploy").await;
    assert!(world.refused("again", "old").await.contains("void"), "for ever");
}

#[tokio::test]
async fn nobody_of_an_idp_in_doubt_redeems_begins_activates_or_renews() {
    let (world, [_, bob], active) = deployers().await;
    let me = [SubjectRef::UserId(bob)];
    world.run("pending", bob, &me).await;
    let pending = world.pending("pending", "one").await;
    world.run("none", bob, &me).await;
    let since = world.now();
    world.store.write(move |tx| idps::doubt_all(tx, since).map(drop)).await.unwrap();
    assert!(world.refused("run", "old").await.contains("okta has not been confirmed"));
    match world.store.begin_grant(new_grant("none", "one")).await.unwrap() {
        Begun::Refused(sentence) => assert!(sentence.contains("okta has not been confirmed"), "{sentence}"),
        other => panic!("{other:?}"),
    }
    // What is judged anew only at another epoch, as `restore` begins one.
    let raise = |tx: &mut Tx<'_>| {
        tx.raise_epoch()?;
        Ok(())
    };
    world.store.write(raise).await.unwrap();
    let taken_back = [
        world.store.activate_grant(pending.id, issued(world.now())).await.unwrap(),
        world.store.renew_grant(active.id, world.now() + Duration::minutes(30)).await.unwrap(),
    ];
    for outcome in taken_back {
        let Activated::Revoking(grant) = outcome else { panic!("{outcome:?}") };
        assert_eq!(grant.reason, Some(Reason::SecurityEvent));
    }
}

#[tokio::test]
async fn a_backup_is_whole_private_and_overwrites_nothing() {
    let (world, _, _) = deployers().await;
    let (file, head) = world.backup().await;
    assert_eq!(head.seq, world.audit_seq().await);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    world.user("carol").await;
    let again = world.store.backup(&file).await.unwrap_err().to_string();
    assert!(again.contains("overwrites nothing") && fs::read(&file).unwrap() == before, "{again}");
    let nowhere = world.store.backup(&world.path().with_file_name("no/such.db")).await.unwrap_err().to_string();
    assert!(nowhere.contains("no/such.db"), "{nowhere}");
    let names: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("partial")), "{names:?}");
}

#[tokio::test]
async fn a_restore_needs_the_server_stopped_and_force_and_keeps_what_stood_there() {
    let (world, ..) = deployers().await;
    let (file, _) = world.backup().await;
    world.user("carol").await;
    let (path, clock): (_, crate::clock::Clock) = (world.path(), crate::clock::system());
    let running =
        SqlStore::restore(Some(&file), &StoreUrl::Sqlite(path.clone()), true, &clock).unwrap_err().to_string();
    assert!(running.contains("has this store open"), "{running}");
    let World { store, dir, .. } = world;
    drop(store);
    let unforced =
        SqlStore::restore(Some(&file), &StoreUrl::Sqlite(path.clone()), false, &clock).unwrap_err().to_string();
    assert!(unforced.contains("--force"), "{unforced}");
    // As a server leaves it that was killed.
    let wal = open::beside(&path, "-wal");
    fs::write(&wal, "frames").unwrap();
    let kept = SqlStore::restore(Some(&file), &StoreUrl::Sqlite(path.clone()), true, &clock).unwrap().kept.unwrap();
    assert!(!wal.exists() && open::beside(&kept, "-wal").exists());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(open::beside(&kept, "-wal")).unwrap();
    let old = World::open(StoreUrl::Sqlite(kept)).await.unwrap();
    assert!(old.directory.lock().unwrap().user_by_name(&okta(), "carol").is_some());
    drop(dir);
}

#[tokio::test]
async fn what_is_no_whole_store_is_not_restored_and_leaves_all_as_it_was() {
    let (world, ..) = deployers().await;
    let (file, _) = world.backup().await;
    let (path, clock): (_, crate::clock::Clock) = (world.path(), crate::clock::system());
    let World { store, dir, .. } = world;
    drop(store);
    let standing = fs::read(&path).unwrap();
    let mut damaged = fs::read(&file).unwrap();
    damaged[8192..12288].fill(7);
    let other = file.with_file_name("other");
    for (content, expected) in
        [(&b"no database at all, just text"[..], "no store of scim-tekton"), (&damaged, "damaged")]
    {
        fs::write(&other, content).unwrap();
        let error =
            SqlStore::restore(Some(&other), &StoreUrl::Sqlite(path.clone()), true, &clock).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = SqlStore::restore(Some(&file.with_file_name("none")), &StoreUrl::Sqlite(path.clone()), true, &clock)
        .unwrap_err()
        .to_string();
    assert!(error.contains("none: No such file"), "{error}");
    assert!(fs::read(&path).unwrap() == standing);
    assert!(!open::beside(&path, ".restoring").exists());
    drop(dir);
}

#[tokio::test]
async fn a_role_binding_that_was_made_from_the_lost_store_is_not_newer_than_the_restored_one() {
    let (world, ..) = deployers().await;
    let (file, _) = world.backup().await;
    for n in 0..20 {
        world.user(&format!("u{n}")).await;
    }
    let lost = world.directory.lock().unwrap().seq();
    let (world, _) = world.restored(&file).await;
    assert!(world.directory.lock().unwrap().seq() > lost);
}

#[tokio::test]
async fn attack_old_backup_put_back_beside_a_killed_servers_wal_is_not_opened_and_not_mixed_with_it() {
    let (world, [alice, _], _) = deployers().await;
    let (file, head) = world.backup().await;
    world.user("carol").await;
    let (path, clock): (_, crate::clock::Clock) = (world.path(), crate::clock::system());
    let wal = open::beside(&path, "-wal");
    let left = fs::read(&wal).unwrap();
    let World { store, dir, .. } = world;
    drop(store);
    fs::copy(&file, &path).unwrap();
    fs::write(&wal, &left).unwrap();
    let error = World::open(StoreUrl::Sqlite(path.clone())).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("put there by hand: `scim-tekton restore --force"), "{error}");
    assert!(fs::read(&path).unwrap() == fs::read(&file).unwrap(), "as it was");
    assert_eq!(SqlStore::restore(Some(&path), &StoreUrl::Sqlite(path.clone()), true, &clock).unwrap().backup, head);
    let world = World::open(StoreUrl::Sqlite(path)).await.unwrap();
    assert_eq!(world.audited(head.seq).await.first(), Some(&Kind::Restored));
    let directory = world.directory.lock().unwrap();
    assert!(directory.user(alice).is_some() && directory.user_by_name(&okta(), "carol").is_none());
    drop((directory, dir));
}

#[tokio::test]
async fn an_orderly_stop_leaves_the_whole_store_in_its_one_file() {
    let (world, ..) = deployers().await;
    world.store.close();
    // The readers are open still, as they are when a process ends.
    let wal = open::beside(&world.path(), "-wal");
    assert_eq!(fs::metadata(wal).unwrap().len(), 0);
}
