//! `explain`: why an event was allowed or denied, or would be now. A recorded event is decided by the running server; or,
//! in a policy repository's tests, by a folder of policies and a file of people alone.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args};

use super::{
    CliError,
    client::Client,
    output::{Output, Table, moment},
    people_file,
};
use crate::{
    clock,
    config::Config,
    interceptor::{self, InterceptorRequest, LARGEST_REQUEST},
    server::{control::wire::DecisionView, folder},
};

/// Why an event was, or would be, allowed or denied. With --event, ends with 0 for allowed and 1 for denied.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["decision", "event"]))]
pub(super) struct Explain {
    /// The decision's id: from the Kubernetes Event, the run's Grant or the audit log
    decision: Option<String>,
    /// A recorded `InterceptorRequest` (JSON), `-` for stdin: decided as if it came now; nothing is recorded
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Decide by the policies of this folder, without a server
    #[arg(long, value_name = "DIR", requires = "event", requires = "directory", conflicts_with = "decision")]
    policies: Option<PathBuf>,
    /// The people that --policies decides about (YAML), as
    /// `users: [{idp: okta, userName: bob@example.com, links: {github.com: 583231}, groups: [deployers]}]`
    #[arg(long, value_name = "FILE", requires = "policies")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Explain {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        if let Some(file) = &self.event {
            let decision: DecisionView = client.post(&["explain"], &request(file)?).await?;
            return self.answer(&decision);
        }
        let id = self.decision.as_deref().unwrap_or_default();
        let decision: DecisionView = client.get(&["decisions", id], &[]).await?;
        // What was asked is why, not whether.
        self.output.print(&decision, table)
    }

    /// Whether it names all that a decision depends on.
    pub(super) fn needs_no_server(&self) -> bool {
        self.policies.is_some()
    }

    /// Decides here.
    pub(super) fn alone(self, config: &Config) -> Result<(), CliError> {
        let decision = self.decide(config)?;
        self.answer(&decision)
    }

    fn decide(&self, config: &Config) -> Result<DecisionView, CliError> {
        let file = self.event.as_deref().unwrap_or(Path::new("-"));
        let catalog = folder::read(self.policies.as_deref().unwrap_or(Path::new(".")))?;
        let directory = people_file::read(self.directory.as_deref().unwrap_or(Path::new("-")))?;
        let now = clock::system()();
        let judgement = interceptor::decide(&directory, &catalog, &config.into(), &request(file)?, now);
        Ok(DecisionView::from(&judgement))
    }

    fn answer(&self, decision: &DecisionView) -> Result<(), CliError> {
        self.output.print(decision, table)?;
        if decision.record.allowed { Ok(()) } else { Err(CliError::No) }
    }
}

/// Reads a recorded request. No Event of ours is larger than what the interceptor takes.
fn request(path: &Path) -> Result<InterceptorRequest, CliError> {
    let failed = |source| CliError::File { path: path.display().to_string(), source };
    let input: Box<dyn io::Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
    let mut text = Vec::new();
    input.take(LARGEST_REQUEST as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    let strange = |why: String| CliError::NoRequest { path: path.display().to_string(), why };
    if text.len() > LARGEST_REQUEST {
        return Err(strange("it has more than 8 MiB".into()));
    }
    serde_json::from_slice(&text).map_err(|error| strange(error.to_string()))
}

fn table(decision: &DecisionView) -> Table {
    let record = &decision.record;
    let event = &record.event;
    let verdict = if record.allowed { "allowed" } else { "denied" };
    let user = match (&decision.user_name, record.user) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (None, Some(id)) => id.to_string(),
        (_, None) => String::new(),
    };
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let mut lines = vec![
        ("decision", record.id.clone()),
        ("at", moment(record.at)),
        ("verdict", format!("{verdict}, {} (code {})", record.reason_code, record.code)),
        ("reason", record.reason.clone()),
        ("user", user),
        ("policy", record.policy.as_ref().map_or_else(String::new, |it| format!("{}/{}", record.namespace, it.name))),
        ("trigger", record.trigger.clone()),
        ("source", event.source.clone()),
        ("event", event.event.clone()),
        ("trust", event.trust.clone()),
        ("actor", number(event.actor_id)),
        ("repository", event.repository.clone().unwrap_or_default()),
        ("ref", event.git_ref.clone().unwrap_or_default()),
        ("sha", event.sha.clone().unwrap_or_default()),
    ];
    lines.extend(record.trace.iter().map(|step| {
        let held = if step.ok { "ok  " } else { "FAIL" };
        ("check", format!("{held} {}: {}", step.check, step.found))
    }));
    Table::of_one(&lines)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    const SECRET: &str = "hunter2";
    const PUSH: &str = include_str!("../../tests/fixtures/github-push.json");
    const POLICIES: &str = "
apiVersion: scim-tekton.dev/v1alpha1
kind: EventSource
metadata: {name: github-acme}
spec:
  type: github
  host: github.com
  webhook: {secretRefs: [{name: github-webhook, key: secret}]}
  namespaces: [prod]
---
apiVersion: scim-tekton.dev/v1alpha1
kind: AccessPolicy
metadata: {name: deploy, namespace: prod}
spec:
  source: github-acme
  subjects: [{group: {displayName: deployers}}]
  pipelines: [{name: deploy}]
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: push, namespace: prod}
spec:
  interceptors: [{ref: {name: scim}, params: [{name: policy, value: deploy}]}]
";

    fn event() -> serde_json::Value {
        use aws_lc_rs::hmac;
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = crate::audit::hex(hmac::sign(&key, PUSH.as_bytes()).as_ref());
        json!({
            "body": PUSH,
            "header": {
                "X-Github-Event": ["push"], "X-Hub-Signature-256": [format!("sha256={signature}")]
            },
            "interceptor_params": {"policy": "deploy"},
            "context": {"event_id": "e", "trigger_id": "namespaces/prod/triggers/push"}
        })
    }

    fn decide(people: &str) -> Result<DecisionView, CliError> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("policies/secrets/github-webhook")).unwrap();
        fs::write(at("policies/secrets/github-webhook/secret"), SECRET).unwrap();
        fs::write(at("policies/all.yaml"), POLICIES).unwrap();
        fs::write(at("people.yaml"), people).unwrap();
        fs::write(at("event.json"), event().to_string()).unwrap();
        let explain = Explain {
            decision: None,
            event: Some(at("event.json")),
            policies: Some(at("policies")),
            directory: Some(at("people.yaml")),
            output: Output::default(),
        };
        explain.decide(&Config::load(None, &std::collections::BTreeMap::new()).unwrap())
    }

    #[test]
    fn a_policy_repository_is_tested_with_nothing_but_the_binary() {
        let bob = "users: [{idp: okta, userName: bob@example.com, links: {github.com: 583231}, groups: [Deployers]}]";
        let decision = decide(bob).unwrap();
        assert!(decision.record.allowed, "{:?}", decision.record);
        assert_eq!(decision.user_name.as_deref(), Some("bob@example.com"));
        let decision = decide(&bob.replace("Deployers", "readers")).unwrap();
        assert_eq!(decision.record.reason_code, "NotEntitled");
        assert!(decision.record.trace.iter().any(|step| step.check == "signature" && step.ok));
        let decision = decide(&bob.replace("groups:", "active: false, groups:")).unwrap();
        assert_eq!(decision.record.reason_code, "Inactive");
    }

    #[test]
    fn what_is_no_request_or_no_file_is_no_denial() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a push").unwrap();
        let error = request(file.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("expected an InterceptorRequest"), "{error}");
        assert!(matches!(request(Path::new("/nowhere.json")), Err(CliError::File { .. })));
        assert!(matches!(decide("users: [{idp: okta, name: bob}]"), Err(CliError::People(_))));
    }
}
