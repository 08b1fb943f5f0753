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

/// From the table below: a constant for each name, and what Prometheus is told of it.
macro_rules! metrics_table {
    ($($name:ident = $text:literal, $describe:ident!($($told:expr),+);)*) => {
        /// Names of all metrics. Where one is recorded, it is named by these.
        #[expect(missing_docs, reason = "`describe` says what each is")]
        pub mod metric {
            $(pub const $name: &str = $text;)*
        }

        fn describe() {
            $($describe!(metric::$name, $($told),+);)*
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

metrics_table! {
    INTERCEPTOR_DECISIONS = "scim_tekton_interceptor_decisions_total",
        describe_counter!("Decisions on events, by result and reason");
    INTERCEPTOR_SECONDS = "scim_tekton_interceptor_seconds",
        describe_histogram!(Unit::Seconds, "From an interceptor request to its answer, by result");
    SCIM_REQUESTS = "scim_tekton_scim_requests_total",
        describe_counter!("SCIM requests, by endpoint, verb and status");
    SCIM_SECONDS = "scim_tekton_scim_request_seconds",
        describe_histogram!(Unit::Seconds, "From a SCIM request to its answer, by endpoint, verb and status");
    ADMISSION_POLICIES_HOLD = "scim_tekton_admission_policies_hold",
        describe_gauge!("1 while our admission policies are seen to hold; at 0 nothing is redeemed, issued or renewed");
    REDEMPTIONS_REFUSED = "scim_tekton_redemptions_refused_total",
        describe_counter!("Runs that must not start: their tickets were refused");
    GRANTS_ISSUED = "scim_tekton_grants_issued_total",
        describe_counter!("Credentials issued and handed out, by provider");
    ISSUES_REFUSED = "scim_tekton_issues_refused_total",
        describe_counter!("Tasks that were refused their credential");
    RENEWALS_FAILED = "scim_tekton_renewals_failed_total",
        describe_counter!("Renewals that failed and are tried again");
    REVOCATIONS_PENDING = "scim_tekton_revocations_pending",
        describe_gauge!("Grants to be taken back whose credential may still live");
    ORPHANS_REMOVED = "scim_tekton_orphans_removed_total",
        describe_counter!("Objects with our label that were removed because no Grant that lives owns them");
    ROLE_BINDINGS_BEHIND = "scim_tekton_rolebindings_behind",
        describe_gauge!("GroupRoleBindings whose RoleBindings do not follow their group yet");
    REVOCATION_SECONDS = "scim_tekton_revocation_seconds",
        describe_histogram!(Unit::Seconds, "From the request to revoke a Grant to the refusal at every API server");
    REVOCATION_WAIT_EXCEEDED = "scim_tekton_revocation_wait_exceeded_total",
        describe_counter!("SCIM writes answered before all that they took away was proven dead");
    RECONCILE_ERRORS = "scim_tekton_reconcile_errors_total",
        describe_counter!("Reconciliations that failed and are tried again, by kind");
    INTROSPECTIONS = "scim_tekton_introspections_total",
        describe_counter!("Introspections, by client and result");
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
    use std::{fs, path::Path};

    use super::*;

    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if !path.ends_with("telemetry.rs") {
                all.push_str(&fs::read_to_string(path).unwrap_or_default());
            }
        }
    }

    #[test]
    fn each_metric_of_the_table_is_recorded_and_no_other() {
        let mut all = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        for name in NAMES {
            assert!(all.contains(&format!("metric::{name}")), "{name} is recorded nowhere");
        }
        assert_eq!(all.matches("\"scim_tekton_").count(), 0, "a metric's name stands outside the table");
    }

    #[test]
    fn a_name_forges_no_line_and_drives_no_terminal() {
        let mut out = Escaping(Vec::new());
        out.write_all(b"user=a\nERROR forged \x1b[31m\xff\n").unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert_eq!(text, "user=a\\nERROR forged \\u{1b}[31m\u{fffd}\n");
    }
}
