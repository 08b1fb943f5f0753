//! The rules: each tells, of the facts, what is violated.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, SubsecRound as _, Utc};
use scim_tekton::{
    api::GrantPhase,
    audit::{Kind, Row, Verifier},
    store::GrantRecord,
};

use super::facts::Facts;

/// All of them.
pub const ALL: [fn(&Facts) -> Vec<String>; 9] = [
    g1_objects_belong_to_live_grants,
    g1_no_grant_outlives_its_run_its_person_or_its_time,
    g2_what_is_revoked_is_refused_everywhere,
    g3_what_was_allowed_has_a_person_and_a_policy,
    g4_a_decision_starts_one_run_and_no_run_starts_unredeemed,
    g5_what_was_acknowledged_is_there,
    g6_the_row_is_there_before_its_effect,
    g6_the_chain_verifies,
    g6_a_grant_object_tells_what_its_row_says,
];

fn is_live(grant: &GrantRecord) -> bool {
    matches!(grant.phase, GrantPhase::Pending | GrantPhase::Active | GrantPhase::Revoking)
}

/// `kubectl get grants` answers the auditor, also after a crash.
fn g6_a_grant_object_tells_what_its_row_says(facts: &Facts) -> Vec<String> {
    let otherwise =
        |grant: &&GrantRecord| facts.shown.get(&grant.id.to_string()).is_some_and(|told| *told != grant.phase);
    let told = |grant: &GrantRecord| {
        format!("G6: the object of Grant {} does not tell that it is {:?}", grant.id, grant.phase)
    };
    facts.grants.iter().filter(otherwise).map(told).collect()
}

fn g1_objects_belong_to_live_grants(facts: &Facts) -> Vec<String> {
    let live: BTreeSet<_> =
        facts.grants.iter().filter(|grant| is_live(grant)).map(|grant| grant.id.to_string()).collect();
    let strays = facts.objects.iter().filter(|object| !live.contains(&object.grant));
    strays.map(|stray| format!("G1: {} belongs to no live Grant", stray.what)).collect()
}

fn g1_no_grant_outlives_its_run_its_person_or_its_time(facts: &Facts) -> Vec<String> {
    let going: BTreeSet<_> =
        facts.runs.iter().filter(|run| !run.done && !run.pending).map(|run| run.uid.as_str()).collect();
    let mut found = Vec::new();
    for grant in facts.grants.iter().filter(|grant| grant.revoked_at.is_none()) {
        let what = format!("G1: Grant {} of {}/{}", grant.id, grant.namespace, grant.run_name);
        match grant.phase {
            GrantPhase::Active => {
                if !going.contains(grant.run_uid.as_str()) {
                    found.push(format!("{what} is Active, and its run is not going"));
                }
                if facts.now > grant.not_after {
                    found.push(format!("{what} is Active after its notAfter"));
                }
                if facts.users.get(&grant.user.to_string()).is_some_and(|(active, _)| !active) {
                    found.push(format!("{what} is Active, and its person is not"));
                }
            }
            // Whatever was begun is finished by now.
            phase => found.push(format!("{what} is still {phase:?}")),
        }
    }
    found
}

fn g2_what_is_revoked_is_refused_everywhere(facts: &Facts) -> Vec<String> {
    let mut found: Vec<_> = facts.powerful.iter().map(|grant| format!("G2: {grant} is dead and allowed")).collect();
    for grant in facts.grants.iter().filter(|grant| grant.phase == GrantPhase::Revoked) {
        match &grant.receipt {
            Some(receipt) if receipt.unproven.is_empty() => {}
            receipt => found.push(format!("G2: Grant {} is Revoked with the Receipt {receipt:?}", grant.id)),
        }
    }
    found
}

fn g3_what_was_allowed_has_a_person_and_a_policy(facts: &Facts) -> Vec<String> {
    let allowed = facts.rows.iter().filter(|row| row.entry.kind == Kind::DecisionAllowed);
    let loose = allowed.filter(|row| row.entry.user.is_none() || row.entry.decision.is_none());
    loose.map(|row| format!("G3: row {} allows nobody", row.seq)).collect()
}

fn g4_a_decision_starts_one_run_and_no_run_starts_unredeemed(facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    let mut by_run: BTreeMap<&str, &Row> = BTreeMap::new();
    let mut by_decision: BTreeMap<&str, &str> = BTreeMap::new();
    for row in facts.rows.iter().filter(|row| row.entry.kind == Kind::Redeemed) {
        let uid = row.entry.detail["uid"].as_str().unwrap_or_default();
        if by_run.insert(uid, row).is_some() {
            found.push(format!("G4: run {uid} was redeemed twice"));
        }
        let decision = row.entry.decision.as_deref().unwrap_or_default();
        if let Some(other) = by_decision.insert(decision, uid) {
            found.push(format!("G4: decision {decision} started the runs {other} and {uid}"));
        }
    }
    for run in &facts.runs {
        let Some(started) = run.started else { continue };
        match by_run.get(run.uid.as_str()) {
            None => found.push(format!("G4: {} started, and was not redeemed", run.path)),
            Some(row) if row.at.trunc_subsecs(0) > started => {
                found.push(format!("G4: {} started at {started}, before it was redeemed at {}", run.path, row.at));
            }
            Some(_) => {}
        }
    }
    found
}

fn g5_what_was_acknowledged_is_there(facts: &Facts) -> Vec<String> {
    let users = facts.users.iter().filter(|(_, (acknowledged, is))| *is != Some(*acknowledged));
    let mut found: Vec<_> = users
        .map(|(user, (acknowledged, is))| format!("G5: user {user}: acknowledged active={acknowledged}, it is {is:?}"))
        .collect();
    let members = facts.members.iter().filter(|(_, (acknowledged, is))| is != acknowledged);
    found.extend(members.map(|((group, user), (acknowledged, is))| {
        format!("G5: {user} in {group}: acknowledged {acknowledged}, it is {is}")
    }));
    found
}

fn g6_the_row_is_there_before_its_effect(facts: &Facts) -> Vec<String> {
    // By its place in the log too: clocks may be set.
    let mut rows: HashMap<(Kind, &str), (usize, DateTime<Utc>)> = HashMap::new();
    for (place, row) in facts.rows.iter().enumerate() {
        for about in [&row.entry.grant, &row.entry.decision].into_iter().flatten() {
            rows.entry((row.entry.kind, about.as_str())).or_insert((place, row.at));
        }
    }
    let mut found = Vec::new();
    for grant in &facts.grants {
        let id = grant.id.to_string();
        let decided = rows.get(&(Kind::DecisionAllowed, grant.decision_id.as_str()));
        let begun = rows.get(&(Kind::GrantPending, id.as_str()));
        if decided.zip(begun).is_none_or(|(decided, begun)| decided.0 > begun.0) {
            found.push(format!("G6: Grant {id} has no row DecisionAllowed before its GrantPending"));
        }
        let mut must = vec![(Kind::GrantPending, grant.created_at)];
        must.extend(grant.issued_at.map(|at| (Kind::GrantIssued, at)));
        must.extend(grant.revoked_at.map(|at| (Kind::Revoked, at)));
        for (kind, at) in must {
            if rows.get(&(kind, id.as_str())).is_none_or(|row| row.1 > at) {
                found.push(format!("G6: Grant {id} has no row {kind:?} as of {at}"));
            }
        }
    }
    found
}

fn g6_the_chain_verifies(facts: &Facts) -> Vec<String> {
    let mut verifier = Verifier::default();
    let broken = facts.rows.iter().find_map(|row| verifier.push(row).err());
    broken.map(|broken| format!("G6: {broken}")).into_iter().collect()
}
