//! Queries that run every few seconds, or while an IdP waits, go by an index that holds little.

use super::*;
use crate::{
    api::GrantPhase,
    store::{
        GrantSelect,
        sql::{emails, entitlement, grants, load, members, query, runs, sorted},
    },
};

impl World {
    async fn plan(&self, sql: String, values: impl FnOnce() -> Vec<Box<dyn ToColumn>> + Send + 'static) -> String {
        let steps = self.store.read(move |conn| {
            let mut explain = conn.prepare_cached(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            Ok(explain.query_map(values(), |row| row.get::<String>(3))?)
        });
        steps.await.unwrap().join("\n")
    }

    async fn plan_of(&self, select: GrantSelect) -> String {
        let sql = grants::selection(&select).0;
        self.plan(sql, move || grants::selection(&select).1).await
    }
}

fn number() -> Box<dyn ToColumn> {
    Box::new(1_i64)
}

fn user_and_time() -> Vec<Box<dyn ToColumn>> {
    vec![Box::new([0_u8; 16]), Box::new(0)]
}

#[tokio::test]
async fn what_is_asked_often_goes_by_an_index_that_holds_little() {
    let world = World::in_a_file().await;
    let due =
        GrantSelect { phases: vec![GrantPhase::Active], expires_before: Some(world.now()), ..GrantSelect::default() };
    let plan = world.plan_of(due).await;
    assert!(plan.contains("g USING INDEX grants_phase (phase=? AND expires_at<?)"), "{plan}");
    let phases = vec![GrantPhase::Revoking, GrantPhase::Failed];
    let plan = world.plan_of(GrantSelect { phases, unfinished: true, ..GrantSelect::default() }).await;
    assert!(plan.contains("g USING INDEX grants_unfinished (phase=?)"), "{plan}");
    let plan = world.plan_of(GrantSelect { ended_since: Some(world.now()), ..GrantSelect::default() }).await;
    assert!(plan.contains("g USING INDEX grants_ended (revoked_at>?)"), "{plan}");
    let outstanding = format!("{} {}", grants::SELECT, grants::OUTSTANDING);
    let plan = world.plan(outstanding, || user_and_time().into_iter().take(1).collect()).await;
    assert!(plan.contains("g USING INDEX grants_unfinished (phase=? AND user_id=?)"), "{plan}");
    let plan = world.plan(format!("SELECT * FROM runs WHERE {}", runs::ENDED_LATELY), user_and_time).await;
    assert!(plan.contains("runs USING INDEX runs_ended_user (user_id=? AND ended_at>?)"), "{plan}");
    let plan = world.plan(entitlement::CONCERNED_BELOW.to_owned(), || vec![Box::new(1)]).await;
    for index in ["runs_live_user", "grants_unfinished (phase=?)", "members_nested"] {
        assert!(plan.contains(&format!("INDEX {index}")), "{index}: {plan}");
    }
    assert!(!plan.contains("SCAN grants"), "{plan}");
}

#[tokio::test]
async fn the_directory_is_read_in_the_order_of_the_tables() {
    let world = World::in_a_file().await;
    for (sql, index) in [
        (load::AFTER, "SEARCH resources USING INTEGER PRIMARY KEY (rowid>?)"),
        (load::MEMBERSHIPS, "SEARCH members USING COVERING INDEX members_member (member_id>? AND member_id<?)"),
    ] {
        let plan = world.plan(sql.to_owned(), || vec![Box::new(1), Box::new(2)]).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn who_has_an_address_and_which_groups_hold_someone_is_looked_up() {
    let world = World::in_a_file().await;
    for (filter, indexes) in [
        (emails::HAVING, vec!["SEARCH emails USING PRIMARY KEY (idp=? AND value_key=? AND user_id>?)"]),
        (
            members::HOLDING,
            vec![
                "INDEX sqlite_autoindex_resources_1 (id=?)",
                "SEARCH m USING COVERING INDEX members_member (member_id=? AND group_id>?)",
            ],
        ),
    ] {
        let values = || vec![number(), Box::new("User"), Box::new("a"), number(), number()];
        let plan = world.plan(query::selection(filter), values).await;
        assert!(plan.contains("SEARCH p USING INDEX resources_order (idp=? AND kind=? AND rowid=?)"), "{plan}");
        assert!(indexes.iter().all(|index| plan.contains(index)) && !plan.contains("SCAN"), "{plan}");
    }
}

#[tokio::test]
async fn a_page_by_cursor_or_by_name_is_read_in_its_order_and_no_further() {
    let world = World::in_a_file().await;
    for (filter, index) in [
        (query::AFTER.to_owned(), "resources_order (idp=? AND kind=? AND rowid>?)"),
        (sorted::by_name(false), "resources_name (idp=? AND kind=?)"),
        (sorted::by_name(true), "resources_name (idp=? AND kind=?)"),
    ] {
        let values = || (0..4).map(|_| Box::new(1) as Box<dyn ToColumn>).collect();
        let plan = world.plan(query::selection(&filter), values).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
