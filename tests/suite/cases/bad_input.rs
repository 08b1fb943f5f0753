//! Bad input: a clear error in the protocol's own form; but for its audit row or counter, nothing of it is stored.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    ensure,
    world::{Outcome, Shop, World, ask_interceptor, push_by, sign},
};

async fn audit_rows(world: &World, kind: &str) -> Outcome<Vec<Value>> {
    let export = world.instance.cli(&["audit", "export"]).await?;
    Ok(export
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|row| row["kind"] == kind)
        .collect())
}

fn of_reason(rows: &[Value], reason: &str) -> usize {
    rows.iter().filter(|row| row["detail"]["reason"] == reason).count()
}

pub async fn g8_what_is_refused_before_the_signature_holds_learns_nothing_and_stores_nothing(
    world: Arc<World>,
) -> Outcome {
    Shop::with(&world, "unsigned", |shop| async move {
        shop.trigger("deploy").await?;
        let alice = shop.deployer("alice").await?;
        shop.ticket(&alice, "deploy").await?;
        let instance = &shop.world.instance;
        let trigger = format!("namespaces/{}/triggers/push-deploy", shop.namespace);
        let good = shop.push(&alice);
        let wrong = sign(&push_by(alice.github), "a guess");
        let mut unsigned = shop.push(&alice);
        unsigned.headers.retain(|(name, _)| name != "X-Hub-Signature-256");
        let requests = [
            ("WrongSignature", wrong.interceptor_request(&trigger, "deploy")),
            ("NoSignature", unsigned.interceptor_request(&trigger, "deploy")),
            ("", good.interceptor_request(&trigger, "no-such-policy")),
            ("", good.interceptor_request("namespaces/default/triggers/none", "deploy")),
            ("", good.interceptor_request("nonsense", "deploy")),
        ];
        let sentences: Vec<Value> = {
            let mut all = Vec::new();
            for (_, request) in &requests {
                let answer = ask_interceptor(instance, request).await?;
                ensure!(answer["continue"] == false, "{answer}");
                ensure!(answer["status"]["code"] == 16, "expected UNAUTHENTICATED: {answer}");
                ensure!(answer.get("extensions").is_none_or(Value::is_null), "{answer}");
                all.push(answer["status"]["message"].clone());
            }
            all
        };
        ensure!(sentences.iter().all(|sentence| *sentence == sentences[0]), "the sentences differ: {sentences:?}");
        let before = audit_rows(&shop.world, "EventsRefused").await?;
        let counted =
            instance.metric("scim_tekton_interceptor_decisions_total", &[("reason", "WrongSignature")]).await?;
        let decisions = audit_rows(&shop.world, "DecisionDenied").await?.len();
        for _ in 0..20 {
            ask_interceptor(instance, &requests[0].1).await?;
        }
        let rows = audit_rows(&shop.world, "EventsRefused").await?;
        let more = of_reason(&rows, "WrongSignature") - of_reason(&before, "WrongSignature");
        ensure!(more <= 1, "20 refusals of one reason made {more} audit rows within a moment");
        let after = instance.metric("scim_tekton_interceptor_decisions_total", &[("reason", "WrongSignature")]).await?;
        ensure!(after >= counted + 20.0, "the counter went from {counted} to {after}");
        let rows = audit_rows(&shop.world, "DecisionDenied").await?;
        let ours = rows.iter().filter(|row| row["detail"].to_string().contains(&shop.namespace)).count();
        ensure!(ours == 0, "a refused event made a decision row ({} before)", decisions);
        // Not even a request.
        let client = instance.client()?;
        let answer = client.post(&instance.interceptor).body("{not json").send().await?;
        ensure!(answer.status().as_u16() == 200, "{}", answer.status());
        let answer: Value = serde_json::from_str(&answer.text().await?)?;
        ensure!(answer["continue"] == false && answer["status"]["code"] == 3, "{answer}");
        Ok(())
    })
    .await
}

pub async fn g8_what_is_refused_after_it_says_why_once_each(world: Arc<World>) -> Outcome {
    Shop::with(&world, "denied", |shop| async move {
        shop.trigger("deploy").await?;
        let alice = shop.deployer("alice").await?;
        shop.ticket(&alice, "deploy").await?;
        let nobody = sign(&push_by(7), &shop.secret);
        let other_kind = shop.push(&alice).with_header("X-GitHub-Event", "release");
        let mut foreign = push_by(alice.github);
        foreign["repository"]["owner"]["id"] = json!(999);
        let foreign = sign(&foreign, &shop.secret);
        let outsider = shop.person("bob").await?;
        let cases = [
            ("an unknown user", nobody),
            ("a header that is not the body's", other_kind),
            ("a foreign repository", foreign),
            ("not in the group", shop.push(&outsider)),
        ];
        let count = cases.len();
        for (what, webhook) in cases {
            let answer = shop.decide(&webhook, "deploy").await?;
            ensure!(answer["continue"] == false, "{what}: {answer}");
            let code = answer["status"]["code"].as_i64().unwrap_or_default();
            ensure!(code != 0 && code != 16, "{what}: {answer}");
            let sentence = answer["status"]["message"].as_str().unwrap_or_default();
            ensure!(sentence.len() > 20, "{what}: no sentence: {answer}");
            println!("{what}: {sentence}");
        }
        let rows = audit_rows(&shop.world, "DecisionDenied").await?;
        let ours: Vec<_> = rows.iter().filter(|row| row["detail"]["namespace"] == shop.namespace.as_str()).collect();
        ensure!(ours.len() == count, "{count} denials made {} audit rows: {ours:?}", ours.len());
        Ok(())
    })
    .await
}

pub async fn g8_bad_scim_gets_a_scim_error_and_nothing_of_it_is_stored(world: Arc<World>) -> Outcome {
    let okta = &world.okta;
    let post = reqwest::Method::POST;
    let get = reqwest::Method::GET;
    let before = okta.must(get.clone(), "/Users?count=0", None).await?["totalResults"].clone();
    let (status, answer) = okta.call(post.clone(), "/Users", Some(json!({"userName": ""}))).await?;
    ensure!(status.as_u16() == 400, "{status} {answer}");
    ensure!(answer["schemas"][0] == "urn:ietf:params:scim:api:messages:2.0:Error", "{answer}");
    ensure!(answer["scimType"] == "invalidValue", "{answer}");
    let (status, answer) = okta.call(get.clone(), "/Users?filter=userName%20zz%20%22x%22", None).await?;
    ensure!(status.as_u16() == 400 && answer["scimType"] == "invalidFilter", "{status} {answer}");
    let (status, answer) = okta.call(get.clone(), "/Users/00000000-0000-4000-8000-000000000000", None).await?;
    ensure!(status.as_u16() == 404 && answer["status"] == "404", "{status} {answer}");
    let deep = format!("/Users?filter={}userName%20pr{}", "(".repeat(5_000), ")".repeat(5_000));
    let (status, answer) = okta.call(get.clone(), &deep, None).await?;
    ensure!(status.as_u16() == 400 || status.as_u16() == 414, "{status} {answer}");
    let client = world.instance.client()?;
    let url = format!("{}/scim/v2/Users", world.instance.url);
    let answer = client.get(&url).bearer_auth("scimidp_guess").send().await?;
    ensure!(answer.status().as_u16() == 401, "{}", answer.status());
    ensure!(answer.headers().contains_key("www-authenticate"), "no WWW-Authenticate");
    let after = okta.must(get, "/Users?count=0", None).await?["totalResults"].clone();
    // Other tests provision people at the same time: there may be more, and never one without a name.
    ensure!(after.as_i64() >= before.as_i64(), "{before} people, then {after}");
    Ok(())
}
