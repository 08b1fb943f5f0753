//! Logs and metrics: set up once by `serve`. Logs go to stderr, one line an event; metrics are rendered on request.

use std::io::{self, Write};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::config::{Log, LogFormat};

/// Why there are no logs or metrics.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("the configuration's `log.filter` is wrong: expected one such as info,scim_tekton=debug: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Set up twice.
    #[error("logging is set up already: {0}")]
    Logs(String),
    /// Set up twice.
    #[error("metrics can't be set up: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Lets this process log as configured.
pub fn init_logs(log: &Log) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&log.filter)?)
        .with_ansi(false)
        .with_writer(OneLine);
    let set = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| TelemetryError::Logs(error.to_string()))
}

/// Collects metrics from now on; `render()` gives Prometheus' text format, `run_upkeep()` wants a call every few
/// seconds.
pub fn init_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

/// From a decision's tens of microseconds to a revocation's tens of seconds.
const SECONDS: &[f64] =
    &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Names of all metrics.
#[expect(missing_docs, reason = "`describe` says what each is")]
pub mod metric {
    pub const DECISIONS: &str = "scim_tekton_decisions_total";
    pub const DECISION_SECONDS: &str = "scim_tekton_decision_seconds";
    pub const EVENTS_REFUSED: &str = "scim_tekton_events_refused_total";
    pub const REDEMPTIONS: &str = "scim_tekton_redemptions_total";
    pub const SCIM_REQUESTS: &str = "scim_tekton_scim_requests_total";
    pub const SCIM_SECONDS: &str = "scim_tekton_scim_request_seconds";
    pub const DIRECTORY_USERS: &str = "scim_tekton_directory_users";
    pub const DIRECTORY_GROUPS: &str = "scim_tekton_directory_groups";
    pub const GRANTS_ISSUED: &str = "scim_tekton_grants_issued_total";
    pub const GRANTS_ACTIVE: &str = "scim_tekton_grants_active";
    pub const REVOCATIONS: &str = "scim_tekton_revocations_total";
    pub const REVOCATIONS_PENDING: &str = "scim_tekton_revocations_pending";
    pub const REVOCATION_SECONDS: &str = "scim_tekton_revocation_seconds";
    pub const ADMISSION_HOLDS: &str = "scim_tekton_admission_policies_hold";
    pub const INTROSPECTIONS: &str = "scim_tekton_introspections_total";
}

fn describe() {
    describe_counter!(metric::DECISIONS, "Decisions on events, by result and reason");
    describe_histogram!(metric::DECISION_SECONDS, Unit::Seconds, "From an interceptor request to its answer");
    describe_counter!(metric::EVENTS_REFUSED, "Events refused before their signature held, by reason");
    describe_counter!(metric::REDEMPTIONS, "Tickets redeemed or refused, by result");
    describe_counter!(metric::SCIM_REQUESTS, "SCIM requests, by IdP, method, resource and status");
    describe_histogram!(metric::SCIM_SECONDS, Unit::Seconds, "From a SCIM request to its answer");
    describe_gauge!(metric::DIRECTORY_USERS, "Users in the Directory");
    describe_gauge!(metric::DIRECTORY_GROUPS, "Groups in the Directory");
    describe_counter!(metric::GRANTS_ISSUED, "Credentials issued, by provider");
    describe_gauge!(metric::GRANTS_ACTIVE, "Grants that are Active");
    describe_counter!(metric::REVOCATIONS, "Grants revoked, by reason");
    describe_gauge!(metric::REVOCATIONS_PENDING, "Grants asked to be revoked whose credential may still live");
    describe_histogram!(
        metric::REVOCATION_SECONDS,
        Unit::Seconds,
        "From the request to the refusal at every API server"
    );
    describe_gauge!(metric::ADMISSION_HOLDS, "1 while the admission policies refuse a forged child, else 0");
    describe_counter!(metric::INTROSPECTIONS, "Introspections, by client and result");
}

/// Keeps an event on its line: what an IdP or a push put into a name can't forge a line or drive a terminal.
#[derive(Clone, Copy, Debug)]
struct OneLine;

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = Escaping<io::StderrLock<'a>>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaping(io::stderr().lock())
    }
}

/// Gets each event in one piece, with its line feed at the end.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        let mut text = crate::escape::escape(&String::from_utf8_lossy(line)).into_owned();
        text.push('\n');
        self.0.write_all(text.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_forges_no_line_and_drives_no_terminal() {
        let mut out = Escaping(Vec::new());
        out.write_all(b"user=a\nERROR forged \x1b[31m\xff\n").unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert_eq!(text, "user=a\\nERROR forged \\u{1b}[31m\u{fffd}\n");
    }
}
