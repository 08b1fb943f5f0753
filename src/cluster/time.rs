//! Kubernetes' timestamps (jiff, since kube 3) as ours (chrono): the one place that converts.

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// From Kubernetes.
pub fn from_kubernetes(time: &Time) -> DateTime<Utc> {
    DateTime::from_timestamp(time.0.as_second(), time.0.subsec_nanosecond().unsigned_abs()).unwrap_or_default()
}

/// To Kubernetes.
pub fn to_kubernetes(at: DateTime<Utc>) -> Time {
    Time(timestamp(at))
}

/// RFC 3339 text, as Tekton's statuses carry it.
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc))
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_microsecond(at.timestamp_micros()).unwrap_or_default()
}
