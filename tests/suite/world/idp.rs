//! An identity provider: Okta's own call shapes (SCIM.md), over HTTPS, with its bearer token.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Instance, Ledger, Outcome};
use crate::ensure;

/// An identity provider with a token of ours.
#[derive(Clone)]
pub struct Idp {
    url: String,
    token: String,
    client: reqwest::Client,
    /// What was acknowledged to it.
    pub ledger: Ledger,
}

/// A person, as the IdP knows them.
#[derive(Clone, Debug)]
pub struct Person {
    /// SCIM `id`, ours.
    pub id: String,
    /// SCIM `userName`.
    pub user_name: String,
    /// Numeric id at github.com.
    pub github: u64,
}

impl Idp {
    /// Gets a token by our command line. Tokens of earlier runs are ended: two may live.
    pub async fn connect(instance: &Instance, name: &str) -> Outcome<Self> {
        let tokens = instance.cli_json(&["idp", "token", "list"]).await?;
        for token in tokens.as_array().into_iter().flatten() {
            if token["idp"] == name && token["revokedAt"].is_null() {
                instance.cli(&["idp", "token", "revoke", token["id"].as_str().unwrap_or_default()]).await?;
            }
        }
        let token = instance.cli(&["idp", "token", "create", name]).await?.trim().to_owned();
        ensure!(!token.contains(char::is_whitespace), "the token is not alone on stdout");
        Ok(Self::with_token(&instance.url, token, instance.client()?))
    }

    /// With a token that is known already.
    pub fn with_token(url: &str, token: String, client: reqwest::Client) -> Self {
        Self { url: format!("{url}/scim/v2"), token, client, ledger: Ledger::default() }
    }

    /// The bearer token, to look for where it must not be.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// One call; as often as it is told to come back later.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Outcome<(StatusCode, Value)> {
        loop {
            let response = self.send(&method, path, body.as_ref()).await?;
            let status = response.status();
            if status == StatusCode::TOO_MANY_REQUESTS {
                let wait = response.headers().get("retry-after").ok_or("429 does not say how long to wait")?;
                tokio::time::sleep(Duration::from_secs(wait.to_str()?.parse()?)).await;
                continue;
            }
            let text = response.text().await?;
            return Ok((status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? }));
        }
    }

    async fn send(&self, method: &Method, path: &str, body: Option<&Value>) -> Outcome<reqwest::Response> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json").body(body.to_string());
        }
        if *method == Method::DELETE {
            self.ledger.forget(path.rsplit('/').next().unwrap_or_default());
        }
        Ok(request.send().await?)
    }

    /// One call that must succeed.
    pub async fn must(&self, method: Method, path: &str, body: Option<Value>) -> Outcome<Value> {
        let (status, answer) = self.call(method.clone(), path, body).await?;
        ensure!(status.is_success(), "{method} {path}: {status} {answer}");
        Ok(answer)
    }

    /// Assigns a person to the application: Okta looks first, then creates.
    pub async fn provision(&self, user_name: &str, github: u64) -> Outcome<Person> {
        let look =
            format!("/Users?filter=userName%20eq%20%22{}%22&startIndex=1&count=100", user_name.replace('@', "%40"));
        let found = self.must(Method::GET, &look, None).await?;
        ensure!(found["totalResults"] == 0, "{user_name} is there already");
        let (given, _) = user_name.split_once('@').unwrap_or((user_name, ""));
        let created = self
            .must(
                Method::POST,
                "/Users",
                Some(json!({
                    "schemas": [
                        "urn:ietf:params:scim:schemas:core:2.0:User",
                        "urn:scim-tekton:params:scim:schemas:extension:accounts:2.0:User",
                    ],
                    "userName": user_name,
                    "name": {"givenName": given, "familyName": "Example"},
                    "emails": [{"primary": true, "value": user_name, "type": "work"}],
                    "displayName": format!("{given} Example"),
                    "locale": "en-US",
                    "externalId": format!("00u{}", user_name.replace(['@', '.'], "")),
                    "groups": [],
                    "password": "1mz050nq",
                    "active": true,
                    "urn:scim-tekton:params:scim:schemas:extension:accounts:2.0:User": {"githubId": github.to_string()},
                })),
            )
            .await?;
        let id = created["id"].as_str().ok_or("the created user has no id")?.to_owned();
        self.ledger.active(&id, true);
        Ok(Person { id, user_name: user_name.into(), github })
    }

    /// Pushes a group with these members.
    pub async fn push_group(&self, display_name: &str, members: &[&Person]) -> Outcome<String> {
        let members: Vec<_> = members.iter().map(|p| json!({"value": p.id, "display": p.user_name})).collect();
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": display_name,
            "members": members,
        });
        let created = self.must(Method::POST, "/Groups", Some(body)).await?;
        Ok(created["id"].as_str().ok_or("the created group has no id")?.to_owned())
    }

    /// Adds a person to a group.
    pub async fn add_member(&self, group: &str, person: &Person) -> Outcome {
        let value = json!([{"value": person.id, "display": person.user_name}]);
        self.ledger.doubt_member(group, &person.id);
        self.patch(&format!("/Groups/{group}"), json!([{"op": "add", "path": "members", "value": value}])).await?;
        self.ledger.member(group, &person.id, true);
        Ok(())
    }

    /// Removes a person from a group.
    pub async fn remove_member(&self, group: &str, person: &Person) -> Outcome {
        let path = format!("members[value eq \"{}\"]", person.id);
        self.ledger.doubt_member(group, &person.id);
        self.patch(&format!("/Groups/{group}"), json!([{"op": "remove", "path": path}])).await?;
        self.ledger.member(group, &person.id, false);
        Ok(())
    }

    /// Deactivates a person: path-less, as Okta does it.
    pub async fn deactivate(&self, person: &Person) -> Outcome {
        self.set_active(person, false).await
    }

    /// Activates a person again.
    pub async fn activate(&self, person: &Person) -> Outcome {
        self.set_active(person, true).await
    }

    async fn set_active(&self, person: &Person, active: bool) -> Outcome {
        self.ledger.doubt(&person.id);
        self.patch(&format!("/Users/{}", person.id), json!([{"op": "replace", "value": {"active": active}}])).await?;
        self.ledger.active(&person.id, active);
        Ok(())
    }

    async fn patch(&self, path: &str, operations: Value) -> Outcome {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.must(Method::PATCH, path, Some(body)).await.map(drop)
    }
}
