//! From a `BulkRequest` message to calls (RFC 7644 §3.7). What is wrong with one operation is that operation's answer.

use std::collections::{BTreeMap, HashSet};

use http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    identity::{Mode, ResourceKind, ScimError, ScimType},
    scim::error::Failure,
};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// A Bulk request.
#[derive(Debug)]
pub(super) struct Bulk {
    /// After how many errors nothing more is tried; `None`: never.
    pub(super) fail_on_errors: Option<usize>,
    /// In the order in which they were sent.
    pub(super) operations: Vec<Operation>,
}

/// One operation, with what its answer repeats.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) bulk_id: Option<String>,
    pub(super) call: Result<Call, ScimError>,
}

/// What an operation asks for.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) kind: ResourceKind,
    /// As it stands in the path; empty for POST.
    pub(super) id: String,
    pub(super) version: Option<String>,
    pub(super) data: Value,
}

/// What a single request would have as its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Put,
    Patch,
    Delete,
}

/// Reads a request; 413 if it holds too much.
pub(super) fn read(body: Value, most: usize, kinds: &[ResourceKind], mode: Mode) -> Result<Bulk, Failure> {
    let Value::Object(body) = body else { return Err(syntax("expected a BulkRequest object").into()) };
    let mut body = fields(body)?;
    if mode == Mode::Strict {
        let schemas = body.get("schemas").and_then(Value::as_array);
        if !schemas.is_some_and(|urns| urns.iter().any(|urn| urn.as_str() == Some(REQUEST))) {
            return Err(syntax(format!("expected schemas to hold {REQUEST}")).into());
        }
    }
    let fail_on_errors = match body.remove("failonerrors") {
        None | Some(Value::Null) => None,
        Some(value) => {
            match value.as_u64().and_then(|errors| usize::try_from(errors).ok()).filter(|errors| *errors > 0) {
                Some(errors) => Some(errors),
                None => return Err(syntax("expected failOnErrors to be an integer of at least 1").into()),
            }
        }
    };
    let Some(Value::Array(sent)) = body.remove("operations") else {
        return Err(syntax("expected Operations to be a list").into());
    };
    if sent.len() > most {
        let detail = format!("expected at most {most} operations (maxOperations)");
        return Err(Failure::status(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let operations: Vec<_> = sent.into_iter().map(|operation| one(operation, kinds, mode)).collect();
    let mut seen = HashSet::new();
    for id in operations.iter().filter_map(|operation| operation.bulk_id.as_deref()) {
        if !seen.insert(id) {
            return Err(syntax("expected each bulkId to stand at one operation only").into());
        }
    }
    Ok(Bulk { fail_on_errors, operations })
}

fn one(operation: Value, kinds: &[ResourceKind], mode: Mode) -> Operation {
    let Value::Object(operation) = operation else {
        let call = Err(syntax("expected each operation to be an object"));
        return Operation { method: String::new(), bulk_id: None, call };
    };
    match fields(operation) {
        Ok(mut fields) => {
            let method = text(&mut fields, "method").unwrap_or_default();
            let bulk_id = text(&mut fields, "bulkid").filter(|id| !id.is_empty());
            let call = call(&method, bulk_id.as_deref(), fields, kinds, mode);
            Operation { method, bulk_id, call }
        }
        Err(error) => Operation { method: String::new(), bulk_id: None, call: Err(error) },
    }
}

fn call(
    method: &str,
    bulk_id: Option<&str>,
    mut fields: BTreeMap<String, Value>,
    kinds: &[ResourceKind],
    mode: Mode,
) -> Result<Call, ScimError> {
    let folded = if mode.lenient() { method.to_ascii_uppercase() } else { method.to_owned() };
    let verb = match folded.as_str() {
        "POST" => Verb::Post,
        "PUT" => Verb::Put,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        _ => return Err(syntax("expected method to be POST, PUT, PATCH or DELETE")),
    };
    if bulk_id.is_some_and(|id| id.contains(['"', '/'])) {
        return Err(syntax("expected bulkId to hold no quotes and slashes"));
    }
    if verb == Verb::Post && bulk_id.is_none() && !mode.lenient() {
        return Err(syntax("expected a bulkId at a POST"));
    }
    let path = text(&mut fields, "path").unwrap_or_default();
    let (kind, id) = place(&path, kinds).ok_or_else(|| {
        ScimError::bad(ScimType::InvalidPath, "expected path to be /Users, /Groups, /Users/ID or /Groups/ID")
    })?;
    if (verb == Verb::Post) != id.is_empty() {
        let detail = "expected a path without id at a POST, and with one at PUT, PATCH and DELETE";
        return Err(ScimError::bad(ScimType::InvalidPath, detail));
    }
    let version = text(&mut fields, "version");
    let data = fields.remove("data").unwrap_or_default();
    Ok(Call { verb, kind, id: id.to_owned(), version, data })
}

fn place<'a>(path: &'a str, kinds: &[ResourceKind]) -> Option<(ResourceKind, &'a str)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (endpoint, id) = path.split_once('/').unwrap_or((path, ""));
    let kind = *kinds.iter().find(|kind| kind.endpoint() == endpoint)?;
    (!id.contains(['/', '?'])).then_some((kind, id))
}

/// Members of a message by their names in lower case (RFC 7643 §2.1).
fn fields(object: Map<String, Value>) -> Result<BTreeMap<String, Value>, ScimError> {
    let count = object.len();
    let fields: BTreeMap<_, _> = object.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if fields.len() == count { Ok(fields) } else { Err(syntax("expected each member to be stated once")) }
}

fn text(fields: &mut BTreeMap<String, Value>, name: &str) -> Option<String> {
    match fields.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn syntax(detail: impl Into<std::borrow::Cow<'static, str>>) -> ScimError {
    ScimError::bad(ScimType::InvalidSyntax, detail)
}
