//! The audit log as it is stored.

use super::*;
use crate::audit::{Entry, Kind, Verifier};

#[tokio::test]
async fn rows_are_paged_and_the_chain_goes_on_after_reopening() {
    let world = World::new().await;
    world.user("alice").await;
    let entries = vec![Entry::new(Kind::EventsRefused), Entry::new(Kind::RbacApplied)];
    world.store.append_audit(entries).await.unwrap();
    let last = world.audit_seq().await;
    assert_eq!(last, 4);
    let page = world.store.audit_rows(1, 2).await.unwrap();
    assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 3]);
    let World { store, url, dir: _dir, .. } = world;
    drop(store);
    let again = World::open(url).await.unwrap();
    again.user("bob").await;
    assert_eq!(again.audited(last).await, [Kind::UserCreated]);
}

#[tokio::test]
async fn a_name_is_known_until_it_is_erased_and_the_chain_holds() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    world.set(ResourceKind::User, alice, "userName", serde_json::json!("alicia")).await;
    world.store.delete(&okta(), ResourceKind::User, alice).await.unwrap();
    assert_eq!(world.store.audit_name(alice).await.unwrap().as_deref(), Some("alicia"));
    world.store.erase_audit_name(alice).await.unwrap();
    assert_eq!(world.store.audit_name(alice).await.unwrap(), None);
    world.audited(0).await;
}

#[tokio::test]
async fn a_row_that_is_changed_in_the_file_is_found() {
    let world = World::new().await;
    world.user("alice").await;
    world
        .store
        .write(|tx| {
            tx.prepare_cached("UPDATE audit SET entry = replace(entry, 'UserCreated', 'UserDeleted') WHERE seq = 2")?
                .execute(params![])?;
            Ok(())
        })
        .await
        .unwrap();
    let mut verifier = Verifier::default();
    let rows = world.store.audit_rows(0, 10).await.unwrap();
    assert!(rows.iter().try_for_each(|row| verifier.push(row)).is_err());
}
