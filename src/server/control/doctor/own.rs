//! What is ours alone: the store, the audit log, the Directory, revocations.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::Value;

use super::{
    super::{
        audit::newest,
        wire::{Finding, token_state},
    },
    clocks,
};
use crate::{
    api::GrantPhase,
    audit::{Kind, Row, Verifier},
    directory::Directory,
    identity::IdpName,
    store::{GrantSelect, Store, StoreError, TokenRecord},
};

/// Rows of the audit log that are looked at; `audit verify` looks at all.
const ROWS: usize = 1000;
/// A token that ends sooner is to be replaced: the IdP's provisioning would stop.
const SOON: Duration = Duration::days(14);
/// A revocation takes milliseconds; one that takes longer is stuck.
const STUCK: Duration = Duration::minutes(1);

pub(super) async fn check(store: &dyn Store, directory: &Directory, now: DateTime<Utc>) -> Vec<Finding> {
    if let Err(error) = store.ping().await {
        let mend = "the server's log says more; is the volume full or read-only? everything is denied meanwhile";
        return vec![Finding::fail("store", error.to_string(), mend)];
    }
    let mut findings = vec![Finding::ok("store", "answers")];
    let stored = async {
        let (before, rows) = last_rows(store).await?;
        findings.push(chain(before.as_ref(), &rows));
        findings.push(clocks::own(rows.last().map(|row| row.at), now));
        findings.extend(people(directory, &store.tokens().await?, &rows, now));
        findings.push(revocations(store, now).await?);
        Ok::<_, StoreError>(())
    };
    if let Err(error) = stored.await {
        findings.push(Finding::fail("store", error.to_string(), "the server's log says more"));
    }
    findings
}

/// The last rows, and the one before them.
async fn last_rows(store: &dyn Store) -> Result<(Option<Row>, Vec<Row>), StoreError> {
    let before = newest(store).await?.saturating_sub(i64::try_from(ROWS).unwrap_or(i64::MAX));
    if before <= 0 {
        return Ok((None, store.audit_rows(0, ROWS).await?));
    }
    Ok((store.audit_rows(before - 1, 1).await?.pop(), store.audit_rows(before, ROWS).await?))
}

fn chain(before: Option<&Row>, rows: &[Row]) -> Finding {
    let mut verifier = before.map_or_else(Verifier::default, Verifier::after);
    if let Err(broken) = rows.iter().try_for_each(|row| verifier.push(row)) {
        let mend = "keep a copy of the store and of the exports, then find out who could write to the volume";
        return Finding::fail("audit log", broken.to_string(), mend);
    }
    let (last, _) = verifier.so_far();
    Finding::ok("audit log", format!("the last {} of {last} rows follow from each other", rows.len()))
}

fn people(directory: &Directory, tokens: &[TokenRecord], rows: &[Row], now: DateTime<Utc>) -> Vec<Finding> {
    if directory.idps().is_empty() {
        let mend = "`scim-tekton idp token create NAME`, and give the token to the IdP";
        return vec![Finding::warn("directory", "no identity provider is known yet", mend)];
    }
    let (users, active) = (directory.users().count(), directory.users().filter(|user| user.active).count());
    let groups = directory.groups().count();
    let whole = Finding::ok("directory", format!("{users} users, {active} of them active; {groups} groups"));
    let idps = directory.idps().iter().map(|idp| provider(directory, idp, tokens, rows, now));
    std::iter::once(whole).chain(idps).collect()
}

fn provider(directory: &Directory, idp: &IdpName, tokens: &[TokenRecord], rows: &[Row], now: DateTime<Utc>) -> Finding {
    let check = format!("idp {idp}");
    let users = directory.users().filter(|user| user.idp == *idp).count();
    let groups = directory.groups().filter(|group| group.idp == *idp).count();
    let changed = match rows.iter().rev().find(|row| is_provisioning(row, idp)) {
        Some(row) => format!("last change {}", second(row.at)),
        None => format!("no change in the last {} rows of the audit log", rows.len()),
    };
    let live: Vec<_> = tokens.iter().filter(|token| token.idp == *idp && token_state(token, now) == "live").collect();
    let found = format!("{users} users, {groups} groups; {} tokens live; {changed}", live.len());
    // Silence is normal for a push, so it is shown and not judged.
    let create = format!("`scim-tekton idp token create {idp}`, and give the token to the IdP");
    if !directory.is_confirmed(idp) {
        let mend = format!(
            "let the IdP push everybody again, look at `scim-tekton users list`, then `scim-tekton idp confirm {idp}`"
        );
        let found = format!("{found}: not confirmed since a backup was restored, so its people are denied");
        return Finding::fail(check, found, mend);
    }
    if live.is_empty() {
        return Finding::warn(check, format!("{found}: who leaves is not deactivated here"), create);
    }
    // `None` never ends.
    let ends = live.iter().map(|token| token.expires_at).max_by_key(|end| end.unwrap_or(DateTime::<Utc>::MAX_UTC));
    match ends.flatten() {
        Some(end) if end - now < SOON => {
            Finding::warn(check, format!("{found}; the last ends {}", second(end)), create)
        }
        _ => Finding::ok(check, found),
    }
}

fn is_provisioning(row: &Row, idp: &IdpName) -> bool {
    let kinds = [
        Kind::UserCreated,
        Kind::UserChanged,
        Kind::UserDeactivated,
        Kind::UserActivated,
        Kind::UserDeleted,
        Kind::GroupCreated,
        Kind::GroupChanged,
        Kind::GroupDeleted,
        Kind::AgentCreated,
        Kind::AgentChanged,
        Kind::AgentDeactivated,
        Kind::AgentActivated,
        Kind::AgentDeleted,
    ];
    kinds.contains(&row.entry.kind) && row.entry.detail.get("idp").and_then(Value::as_str) == Some(idp.as_str())
}

async fn revocations(store: &dyn Store, now: DateTime<Utc>) -> Result<Finding, StoreError> {
    let revoking = GrantSelect { phases: vec![GrantPhase::Revoking], ..GrantSelect::default() };
    let grants = store.grants(&revoking).await?;
    let runs = store.runs_to_cancel().await?;
    let since =
        grants.iter().filter_map(|grant| grant.asked_at).chain(runs.iter().filter_map(|run| run.ended_at)).min();
    if grants.is_empty() && runs.is_empty() {
        return Ok(Finding::ok("revocations", "none is pending"));
    }
    let found = format!("{} Grants are being revoked, {} runs are being cancelled", grants.len(), runs.len());
    let Some(since) = since.filter(|since| now - *since > STUCK) else { return Ok(Finding::ok("revocations", found)) };
    let ids: Vec<_> = grants.iter().take(3).map(|grant| grant.id.to_string()).collect();
    let mend = format!(
        "it goes on by itself when the API servers answer; the server's log and `scim-tekton grants show ID` say what \
         is missing {}",
        ids.join(", ")
    );
    Ok(Finding::fail("revocations", format!("{found}, the oldest since {}", second(since)), mend.trim_end()))
}

fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{
        audit::{Entry, GENESIS, link},
        directory::Change,
        fake::{FakeStore, run_and_grant},
        identity::ResourceId,
        server::control::wire::Verdict,
    };

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::days(100)
    }

    fn log(rows: i64) -> Vec<Row> {
        let mut previous = GENESIS.to_owned();
        let row = |seq| {
            let mut entry = Entry::new(Kind::UserChanged);
            entry.detail = json!({"idp": "okta"});
            let at = DateTime::UNIX_EPOCH + Duration::seconds(seq);
            previous = link(&previous, seq, at, &entry);
            Row { seq, at, entry, hash: previous.clone() }
        };
        (1..=rows).map(row).collect()
    }

    fn token(days: i64) -> TokenRecord {
        TokenRecord {
            id: "t".into(),
            idp: "okta".into(),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: Some(now() + Duration::days(days)),
            revoked_at: None,
            last_used_at: None,
            hash: None,
        }
    }

    async fn findings(store: &FakeStore) -> Vec<(String, Verdict, String)> {
        let mut directory = Directory::default();
        directory.apply(1, &[Change::Idp("okta".into())]);
        let findings = check(store, &directory, now()).await;
        findings.into_iter().map(|it| (it.check, it.verdict, it.found)).collect()
    }

    #[tokio::test]
    async fn a_healthy_server_says_what_it_holds() {
        let store = FakeStore::default();
        *store.audit.lock().unwrap() = log(1500);
        *store.tokens.lock().unwrap() = vec![token(1), token(60)];
        let found = findings(&store).await;
        let expected = [
            ("store", "answers"),
            ("audit log", "the last 1000 of 1500 rows follow from each other"),
            ("clock", "not behind the audit log"),
            ("directory", "0 users, 0 of them active; 0 groups"),
            ("idp okta", "0 users, 0 groups; 2 tokens live; last change 1970-01-01T00:25:00Z"),
            ("revocations", "none is pending"),
        ];
        assert_eq!(found, expected.map(|(check, found)| (check.into(), Verdict::Ok, found.into())));
    }

    #[tokio::test]
    async fn a_changed_row_a_token_that_ends_and_a_stuck_revocation_are_found() {
        let store = FakeStore::default();
        let mut rows = log(5);
        rows[2].at += Duration::seconds(1);
        *store.audit.lock().unwrap() = rows;
        *store.tokens.lock().unwrap() = vec![token(3)];
        let (_, mut grant) = run_and_grant("a", ResourceId(Uuid::nil()), now());
        (grant.phase, grant.asked_at) = (GrantPhase::Revoking, Some(now() - Duration::seconds(30)));
        store.grants.lock().unwrap().push(grant);
        let found = findings(&store).await;
        assert!(found[1].1 == Verdict::Fail && found[1].2.starts_with("row 3"), "{found:?}");
        assert!(found[4].1 == Verdict::Warn && found[4].2.ends_with("the last ends 1970-04-14T00:00:00Z"), "{found:?}");
        assert!(found[5].1 == Verdict::Ok && found[5].2.starts_with("1 Grants"), "{found:?}");
        store.tokens.lock().unwrap().clear();
        store.grants.lock().unwrap()[0].asked_at = Some(now() - Duration::minutes(2));
        let found = findings(&store).await;
        assert!(found[4].1 == Verdict::Warn && found[4].2.contains("0 tokens live"), "{found:?}");
        assert!(found[5].1 == Verdict::Fail && found[5].2.contains("the oldest since"), "{found:?}");
    }

    #[tokio::test]
    async fn an_idp_that_nobody_confirmed_since_a_restore_is_a_failure_with_its_mend() {
        let store = FakeStore::default();
        *store.tokens.lock().unwrap() = vec![token(60)];
        let mut directory = Directory::default();
        directory.apply(1, &[Change::Idp("okta".into()), Change::Confirmed("okta".into(), false)]);
        let findings = check(&store, &directory, now()).await;
        let okta = findings.iter().find(|found| found.check == "idp okta").unwrap();
        assert!(okta.verdict == Verdict::Fail && okta.found.contains("its people are denied"), "{okta:?}");
        assert!(okta.mend.as_ref().unwrap().ends_with("`scim-tekton idp confirm okta`"), "{okta:?}");
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_the_one_thing_that_is_said() {
        let found = findings(&FakeStore { broken: true, ..FakeStore::default() }).await;
        assert!(found.len() == 1 && found[0].1 == Verdict::Fail, "{found:?}");
    }
}
