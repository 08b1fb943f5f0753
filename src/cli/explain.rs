//! `explain`: why an event was allowed or denied.

use clap::Args;

use super::{
    CliError,
    client::Client,
    output::{Output, Table, moment},
};
use crate::server::control::wire::DecisionView;

/// Why an event was allowed or denied.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The decision's id: from the Kubernetes Event, the run's Grant or the audit log
    decision: String,
    #[command(flatten)]
    output: Output,
}

impl Explain {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let decision: DecisionView = client.get(&["decisions", &self.decision], &[]).await?;
        self.output.print(&decision, table)
    }
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
