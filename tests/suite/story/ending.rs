//! Steps 6–8: Bob leaves, attackers try, Alice deploys.

use std::{sync::Arc, time::Instant};

use kube::ResourceExt as _;
use scim_tekton::api::GrantPhase;

use crate::{
    cases::{can_i, introspect, probers_of},
    ensure,
    report::Report,
    world::{Outcome, POD_TIME, Person, Shop, eventually, kubectl, push_by, sign},
};

/// Bob is deactivated while his run goes.
pub async fn six(shop: &Arc<Shop>, report: &Report, run: &str, bob: &Person, token: &str) -> Outcome {
    report.step(6, "Okta deactivates Bob while his run is going");
    let grants = shop.grants(run, GrantPhase::Active, 2).await?;
    let probers = probers_of(shop, &grants).await?;
    eventually("each prober has had a success", POD_TIME, || async {
        Ok(probers.iter().all(|prober| prober.shots().iter().any(|shot| shot.status == 200)).then_some(()))
    })
    .await?;
    let active = introspect(&shop.world, token).await.and_then(|active| {
        ensure!(active, "it is inactive already");
        Ok(())
    });
    report.check("the OIDC token introspects as active", active);
    let asked = Instant::now();
    let answered = shop.world.okta.deactivate(bob).await;
    let answer = Instant::now();
    report.check("SCIM answers", answered).ok_or("Bob is not deactivated")?;
    report.say(&format!("answered after {:.1} ms", (answer - asked).as_secs_f64() * 1e3));
    let inactive = introspect(&shop.world, token).await.and_then(|active| {
        ensure!(!active, "it is still active");
        Ok(())
    });
    report.check("the OIDC token introspects as inactive", inactive);
    for server in shop.world.api_servers() {
        let no = can_i(&server, &shop.namespace, bob, false).await;
        report.check(&format!("`kubectl auth can-i` as Bob says no at {server}"), no);
    }
    eventually("each prober has been refused", POD_TIME, || async {
        let refused = |status| status == 401 || status == 403;
        Ok(probers.iter().all(|p| p.shots().iter().any(|s| s.sent > answer && refused(s.status))).then_some(()))
    })
    .await?;
    let (mut successes, mut late) = (0, 0);
    for prober in probers {
        for shot in prober.finish().await.iter().filter(|shot| shot.status == 200) {
            successes += 1;
            late += u32::from(shot.sent > answer);
        }
    }
    let dead = if late == 0 { Ok(()) } else { Err(format!("{late} requests sent after the answer succeeded").into()) };
    report.check(
        &format!("the credential was used {successes} times at both API servers before, and not once after the answer"),
        dead,
    );
    let ended = shop.ended(run).await.and_then(|(status, reason)| {
        ensure!(status == "False" && reason == "Cancelled", "Succeeded={status}, reason {reason}");
        Ok(())
    });
    report.check("the run is cancelled", ended);
    let pods = eventually("the run's pods are gone", POD_TIME, || async {
        Ok(shop.children("pods", run).await?.trim().is_empty().then_some(()))
    });
    report.check("its pods are gone", pods.await);
    let receipts = shop.grants(run, GrantPhase::Revoked, 2).await;
    if report.check("its Grants are Revoked, each with a Receipt", receipts).is_some() {
        report.say(&kubectl(&["get", "grants", "-n", &shop.namespace]).await.unwrap_or_default());
    }
    Ok(())
}

/// A forged event, a replayed one, a copied ticket.
pub async fn seven(shop: &Arc<Shop>, report: &Report, alice: &Person) -> Outcome {
    report.step(7, "Forged, replayed, copied: each refused, with its reason");
    shop.trigger("deploy").await?;
    // The trigger is in force when it gives a ticket.
    shop.ticket(alice, "deploy").await?;
    let forged = sign(&push_by(alice.github), "a guess");
    let answer = shop.decide(&forged, "deploy").await?;
    let refused = if answer["continue"] == false && answer["status"]["code"] == 16 {
        Ok(())
    } else {
        Err(format!("{answer}").into())
    };
    if report.check("an event with a forged signature is refused, and learns nothing", refused).is_some() {
        report.say(answer["status"]["message"].as_str().unwrap_or_default());
    }
    let event = shop.push(alice);
    let first = shop.decide(&event, "deploy").await?;
    let spent = first["extensions"]["scim"]["ticket"].as_str().ok_or_else(|| format!("no ticket: {first}"))?.to_owned();
    let run = shop.create_run("deploy", Some(&spent), true).await?.name_any();
    shop.event_about(&run, "TicketRedeemed").await?;
    let again = shop.decide(&event, "deploy").await?;
    let replayed = if again["continue"] == false { Ok(()) } else { Err(format!("{again}").into()) };
    if report.check("a replayed event is refused, and its run is named", replayed).is_some() {
        report.say(again["status"]["message"].as_str().unwrap_or_default());
    }
    let copy = shop.create_run("deploy", Some(&spent), true).await?.name_any();
    let note = shop.event_about(&copy, "TicketRefused").await;
    if let Some(note) = report.check("a copied ticket is refused", note) {
        report.say(&note);
    }
    let ended = shop.ended(&copy).await.and_then(|(status, _)| {
        ensure!(status == "False", "Succeeded={status}");
        Ok(())
    });
    report.check("the run with the copied ticket ends without a task", ended);
    Ok(())
}

/// Alice's run ends as runs do, and the audit log tells it all.
pub async fn eight(shop: &Arc<Shop>, report: &Report, alice: &Person, bobs_run: &str) -> Outcome {
    report.step(8, "Alice deploys; her credential is gone with her run; the audit log tells the story");
    let run = shop.start(alice, "deploy").await?;
    let ended = shop.ended(&run).await.and_then(|(status, reason)| {
        ensure!(status == "True", "Succeeded={status}, reason {reason}");
        Ok(())
    });
    report.check("Alice's run succeeds", ended);
    report.check("her Grant is Revoked", shop.grants(&run, GrantPhase::Revoked, 1).await);
    let verified = shop.world.instance.cli(&["audit", "verify"]).await;
    if let Some(said) = report.check("the audit log verifies", verified) {
        report.say(said.trim());
    }
    let export = shop.world.instance.cli(&["audit", "export"]).await?;
    let path = format!("\"{}/{bobs_run}\"", shop.namespace);
    let told: Vec<_> = export.lines().filter(|line| line.contains(&path)).collect();
    let kinds: Vec<String> = told
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|row| format!("{} {}", row["at"].as_str().unwrap_or_default(), row["kind"].as_str().unwrap_or_default()))
        .collect();
    let complete = ["Redeemed", "GrantIssued", "RevocationAsked", "Revoked"]
        .iter()
        .find(|kind| !kinds.iter().any(|told| told.ends_with(**kind)))
        .map_or(Ok(()), |kind| Err(format!("no row {kind} about {path}").into()));
    if report.check("it tells Bob's run from redemption to revocation", complete).is_some() {
        report.say(&kinds.join("\n"));
    }
    Ok(())
}
