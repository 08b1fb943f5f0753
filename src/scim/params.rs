//! What a request may ask of an answer: query parameters (RFC 7644 §3.4.2, §3.9), and the same as a `SearchRequest` body
//! (§3.4.3).

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde_json::Value;

use super::{PageLimits, ScimState, error::Failure};
use crate::identity::{Mode, Projection, ResourceKind, ScimError, ScimType, Sort};

const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    pub(super) filter: Option<String>,
    attributes: Option<String>,
    excluded: Option<String>,
    start_index: Option<i64>,
    count: Option<String>,
    cursor: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
}

/// Which page is asked for, and of how many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging<'a> {
    /// From the n-th on (RFC 7644 §3.4.2.4).
    Index(usize, usize),
    /// From where the page before ended; from the beginning if empty (RFC 9865).
    Cursor(&'a str, usize),
}

impl FromRequestParts<ScimState> for Params {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &ScimState) -> Result<Self, Failure> {
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
            return Err(ScimError::bad(ScimType::InvalidValue, "expected a query of name=value pairs").into());
        };
        let mut params = Self::default();
        for (name, value) in pairs {
            params.set(&name, value)?;
        }
        Ok(params)
    }
}

impl Params {
    /// Reads a `SearchRequest`. A filter that came out as something else than a text is an error: whoever asks for one
    /// person must not be shown all. In compat mode null is as if nothing was said.
    pub(super) fn from_search(body: Value, mode: Mode) -> Result<Self, Failure> {
        let Value::Object(body) = body else {
            return Err(ScimError::bad(ScimType::InvalidSyntax, "expected a SearchRequest object").into());
        };
        let urns = body.get("schemas").and_then(Value::as_array);
        if mode == Mode::Strict && !urns.is_some_and(|urns| urns.iter().any(|urn| urn.as_str() == Some(SEARCH))) {
            let detail = format!("expected schemas to hold {SEARCH}");
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail).into());
        }
        let mut params = Self::default();
        for (name, value) in body {
            if !(value.is_null() && mode.lenient())
                && let Some(text) = text(&name, value)?
            {
                params.set(&name, text)?;
            }
        }
        Ok(params)
    }

    /// Which part of a resource is shown.
    pub(super) fn projection(&self, kind: ResourceKind) -> Projection {
        Projection::read(self.attributes.as_deref(), self.excluded.as_deref(), kind)
    }

    /// Only these attributes, as if a client had asked for no others.
    pub(super) fn only(attributes: &str) -> Self {
        Self { attributes: Some(attributes.to_owned()), ..Self::default() }
    }

    /// Whether an order is asked for.
    pub(super) fn is_sorted(&self) -> bool {
        self.sort_by.is_some()
    }

    /// In which order; `None`: of creation. A walk by cursor has that one only: in another, who is renamed meanwhile
    /// would be shown twice or not at all.
    pub(super) fn sort(&self, kind: ResourceKind) -> Result<Option<Sort>, ScimError> {
        let Some(by) = &self.sort_by else { return Ok(None) };
        if self.cursor.is_some() {
            let detail = "expected no sortBy with a cursor, which keeps to the order of creation; sort by startIndex";
            return Err(ScimError::bad(ScimType::InvalidValue, detail));
        }
        Sort::parse(by, self.sort_order.as_deref(), kind).map(Some)
    }

    /// Which page is asked for. By index, a `startIndex` of less than one counts as one and a negative `count` as none
    /// (RFC 7644 §3.4.2.4); by cursor, a page of none would never end (RFC 9865 §2.1). More than the largest page is no
    /// error in either: a page may be smaller than was asked for.
    pub(super) fn paging(&self, limits: PageLimits) -> Result<Paging<'_>, ScimError> {
        let PageLimits { default_size, max_size } = limits;
        let size = |count: i64| usize::try_from(count.max(0)).unwrap_or(usize::MAX).min(max_size);
        let count = self.count.as_deref().map(|text| number("count", text));
        let Some(cursor) = &self.cursor else {
            let start = self.start_index.map_or(1, |start| usize::try_from(start.max(1)).unwrap_or(usize::MAX));
            return Ok(Paging::Index(start, count.transpose()?.map_or(default_size, size)));
        };
        if self.start_index.is_some() {
            return Err(ScimError::bad(ScimType::InvalidValue, "expected startIndex or cursor, not both"));
        }
        match count {
            None => Ok(Paging::Cursor(cursor, default_size)),
            Some(Ok(count)) if count >= 1 => Ok(Paging::Cursor(cursor, size(count))),
            Some(_) => {
                let detail = format!("expected count to be an integer between 1 and {max_size}");
                Err(ScimError::bad(ScimType::InvalidCount, detail))
            }
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Failure> {
        match name.to_ascii_lowercase().as_str() {
            "filter" if self.filter.is_some() => {
                return Err(ScimError::bad(ScimType::InvalidFilter, "filter is stated twice").into());
            }
            // A blank one, too: it is no filter, and is refused as such.
            "filter" => self.filter = Some(value),
            "attributes" => self.attributes = Some(value),
            "excludedattributes" => self.excluded = Some(value),
            "startindex" => self.start_index = Some(number(name, &value)?),
            "count" => self.count = Some(value),
            "cursor" => self.cursor = Some(value),
            "sortby" if !value.trim().is_empty() => self.sort_by = Some(value),
            "sortorder" => self.sort_order = Some(value),
            _ => {}
        }
        Ok(())
    }
}

/// A member of a `SearchRequest` as its query parameter would write it; `None`: there is no such parameter.
fn text(name: &str, value: Value) -> Result<Option<String>, ScimError> {
    let (scim_type, expected) = match (name.to_ascii_lowercase().as_str(), value) {
        (
            "filter" | "sortby" | "sortorder" | "cursor" | "startindex" | "count" | "attributes" | "excludedattributes",
            Value::String(text),
        ) => return Ok(Some(text)),
        ("startindex" | "count", Value::Number(number)) => return Ok(Some(number.to_string())),
        ("attributes" | "excludedattributes", Value::Array(names)) if names.iter().all(Value::is_string) => {
            return Ok(Some(names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")));
        }
        ("filter", _) => (ScimType::InvalidFilter, "a string"),
        ("sortby" | "sortorder" | "cursor", _) => (ScimType::InvalidValue, "a string"),
        ("startindex" | "count", _) => (ScimType::InvalidValue, "an integer"),
        ("attributes" | "excludedattributes", _) => (ScimType::InvalidValue, "a list of attribute names"),
        _ => return Ok(None),
    };
    Err(ScimError::bad(scim_type, format!("expected {name} to be {expected}")))
}

fn number(name: &str, value: &str) -> Result<i64, ScimError> {
    value
        .trim()
        .parse()
        .map_err(|_| ScimError::bad(ScimType::InvalidValue, format!("expected {name} to be an integer")))
}
