//! `If-Match` and `If-None-Match` (RFC 7644 §3.14, RFC 9110 §13.1). Our versions are weak, and compared as such.

use http::{HeaderMap, HeaderName, header};

use crate::identity::{Resource, ScimError};

/// What a request asks of a resource's version before it is changed.
#[derive(Clone, Debug)]
pub(super) struct IfMatch(Option<String>);

impl IfMatch {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        Self(joined(headers, &header::IF_MATCH))
    }

    /// Whether anything was asked.
    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// 412 unless the resource is what was asked for. Called inside the store's transaction, where that still holds when
    /// the change is made.
    pub(super) fn check(&self, resource: &Resource) -> Result<(), ScimError> {
        match &self.0 {
            Some(tags) if !names(tags, resource) => {
                let detail = format!("the resource has changed: its version is {} now", resource.etag());
                Err(ScimError { status: 412, scim_type: None, detail: detail.into() })
            }
            _ => Ok(()),
        }
    }
}

/// Whether the caller has this version already.
pub(super) fn none_match(headers: &HeaderMap, resource: &Resource) -> bool {
    joined(headers, &header::IF_NONE_MATCH).is_some_and(|tags| names(&tags, resource))
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn names(tags: &str, resource: &Resource) -> bool {
    let ours = resource.etag();
    let ours = ours.trim_start_matches("W/");
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == ours)
}
