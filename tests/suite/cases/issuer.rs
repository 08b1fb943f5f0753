//! The run's JWT, as a relying party sees it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use openidconnect::{
    AdditionalClaims, ClientId, IdToken, IdTokenVerifier, IssuerUrl, Nonce,
    core::{
        CoreGenderClaim, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm, CoreProviderMetadata,
    },
};
use scim_tekton::api::GrantPhase;
use serde::{Deserialize, Serialize};

use crate::{
    ensure,
    world::{BATCH_TIME, Failure, Outcome, Shop, World, eventually},
};

#[derive(Clone, Debug, Deserialize, Serialize)]
struct RunClaims {
    pipelinerun_uid: String,
    scim_id: String,
    repository: String,
    actor_id: serde_json::Value,
    decision_id: String,
}

impl AdditionalClaims for RunClaims {}

type RunToken = IdToken<RunClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// Verifies a token with openidconnect, from nothing but the issuer's URL and our CA; gives its subject.
pub async fn verify_token(world: &World, token: &str, audience: &str) -> Outcome<String> {
    let http = openidconnect_client(world)?;
    let issuer = IssuerUrl::new(world.instance.url.clone())?;
    let fetch = |request: openidconnect::HttpRequest| call(http.clone(), request);
    let metadata = CoreProviderMetadata::discover_async(issuer.clone(), &fetch).await.map_err(|e| format!("{e:?}"))?;
    let keys: &CoreJsonWebKeySet = metadata.jwks();
    let verifier: CoreIdTokenVerifier<'_> =
        IdTokenVerifier::new_public_client(ClientId::new(audience.into()), issuer, keys.clone());
    let token: RunToken = serde_json::from_value(serde_json::Value::String(token.into()))?;
    let any = |_: Option<&Nonce>| Ok(());
    let claims = token.claims(&verifier, any).map_err(|error| format!("{error:?}"))?;
    ensure!(claims.subject().starts_with("tekton:cluster@"), "the subject is {:?}", claims.subject());
    ensure!(claims.additional_claims().repository == "acme/shop", "{:?}", claims.additional_claims());
    Ok(claims.subject().to_string())
}

fn openidconnect_client(world: &World) -> Outcome<reqwest::Client> {
    world.instance.client()
}

async fn call(
    client: reqwest::Client,
    request: openidconnect::HttpRequest,
) -> Result<openidconnect::HttpResponse, std::io::Error> {
    let other = |error: reqwest::Error| std::io::Error::other(error.to_string());
    let (parts, body) = request.into_parts();
    let mut send = client.request(parts.method, parts.uri.to_string()).body(body);
    for (name, value) in &parts.headers {
        send = send.header(name, value);
    }
    let answer = send.send().await.map_err(other)?;
    let mut response = openidconnect::HttpResponse::new(Vec::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await.map_err(other)?.to_vec();
    Ok(response)
}

/// Whether a token introspects as active, for the client of its audience; another client learns nothing.
pub async fn introspect(world: &World, token: &str) -> Outcome<bool> {
    let ask = |id: &'static str| {
        let client = world.instance.client();
        let url = format!("{}/introspect", world.instance.url);
        async move {
            let body = format!("token={token}");
            let request = client?.post(url).basic_auth(id, Some(format!("the secret of {id}")));
            let answer = request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await?;
            ensure!(answer.status().is_success(), "introspection answered {}", answer.status());
            let answer: serde_json::Value = serde_json::from_str(&answer.text().await?)?;
            Ok::<_, Failure>(answer["active"] == true)
        }
    };
    ensure!(!ask("other").await?, "a client of another audience learns that the token is active");
    ask("registry").await
}

async fn token_of(shop: &Shop, run: &str) -> Outcome<(String, i64)> {
    let grants = shop.grants(run, GrantPhase::Active, 2).await?;
    let grant = grants.iter().find(|grant| grant.spec.template.name == "token").ok_or("no Grant of template token")?;
    let status = grant.status.clone().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
    let data = secrets.get(&status.secret_name.unwrap_or_default()).await?.data.unwrap_or_default();
    Ok((String::from_utf8(data.get("token").ok_or("no token")?.0.clone())?, status.renewals))
}

async fn held_run(shop: &Shop, person: &crate::world::Person) -> Outcome<String> {
    shop.trigger("held").await?;
    shop.start(person, "held").await
}

pub async fn the_jwt_verifies_from_the_issuers_url_alone_is_renewed_twice_and_dies_with_its_person(
    world: Arc<World>,
) -> Outcome {
    Shop::with(&world, "issuer", |shop| async move {
        let alice = shop.deployer("alice").await?;
        let run = held_run(&shop, &alice).await?;
        let (first, _) = token_of(&shop, &run).await?;
        verify_token(&shop.world, &first, "https://registry.example.com").await?;
        let foreign = verify_token(&shop.world, &first, "https://other.example.com").await;
        ensure!(foreign.is_err(), "the token verifies for another audience");
        let renewed = eventually("ttl 30s: renewed twice", BATCH_TIME, || async {
            let (token, renewals) = token_of(&shop, &run).await?;
            Ok((renewals >= 2).then_some(token))
        })
        .await?;
        ensure!(renewed != first, "the Secret still holds the first token");
        verify_token(&shop.world, &renewed, "https://registry.example.com").await?;
        ensure!(introspect(&shop.world, &renewed).await?, "a live token introspects as inactive");
        shop.world.okta.deactivate(&alice).await?;
        ensure!(!introspect(&shop.world, &renewed).await?, "after the deactivation it introspects as active");
        shop.grants(&run, GrantPhase::Revoked, 2).await.map(drop)
    })
    .await
}

pub async fn after_the_loss_of_the_group_no_token_is_issued(world: Arc<World>) -> Outcome {
    Shop::with(&world, "grouploss", |shop| async move {
        let alice = shop.deployer("alice").await?;
        let run = held_run(&shop, &alice).await?;
        let (token, renewals) = token_of(&shop, &run).await?;
        shop.world.okta.remove_member(&shop.group_id, &alice).await?;
        ensure!(!introspect(&shop.world, &token).await?, "it introspects as active");
        let grants = shop.grants(&run, GrantPhase::Revoked, 2).await?;
        for grant in &grants {
            let status = grant.status.clone().unwrap_or_default();
            ensure!(status.reason.as_deref() == Some("GroupLost"), "reason {:?}", status.reason);
            ensure!(status.renewals <= renewals.max(1), "it was renewed after the loss");
        }
        let (status, reason) = shop.ended(&run).await?;
        ensure!(status == "False" && reason == "Cancelled", "Succeeded={status}, reason {reason}");
        let answer = shop.decide(&shop.push(&alice), "held").await?;
        ensure!(answer["continue"] == false, "a push after the loss is allowed: {answer}");
        Ok(())
    })
    .await
}
