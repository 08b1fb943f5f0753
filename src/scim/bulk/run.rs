//! Operations done, and what each came to.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

use super::{
    gather::Gather,
    plan::{Step, plan},
    reference::{self, Referent},
    request::{Bulk, Call, Operation, Verb},
};
use crate::{
    identity::{ScimError, ScimType},
    scim::{
        ScimState,
        auth::Caller,
        body::Json,
        create::{self, Revived},
        delete,
        error::Failure,
        params::Params,
        patch, replace,
    },
};

/// Does a request's operations, and answers those that were tried, in the order in which they were sent.
pub(super) async fn run(state: ScimState, caller: Caller, request: Bulk) -> Vec<Value> {
    let gather = Arc::new(Gather::new(Arc::clone(&state.enforce), state.writes.clone()));
    let state = ScimState { enforce: gather.clone(), ..state };
    let places = places(&request.operations);
    let needs: Vec<_> = request.operations.iter().map(|operation| needs(operation, &places)).collect();
    let mut run = Run { state, caller, places, outcomes: request.operations.iter().map(|_| None).collect() };
    let mut errors = 0;
    for step in plan(&needs) {
        match step {
            Step::Do(number, later) => {
                let stopped = request.fail_on_errors.is_some_and(|most| errors >= most);
                let Some(operation) = request.operations.get(number).filter(|_| !stopped) else { continue };
                let outcome = match &operation.call {
                    Ok(call) => run.call(call, &later).await,
                    Err(error) => Err(error.clone().into()),
                };
                errors += usize::from(outcome.is_err());
                run.set(number, outcome);
            }
            Step::Complete(number) => {
                let Some(Ok(call)) = request.operations.get(number).map(|operation| &operation.call) else { continue };
                let Some(Some(Ok(created))) = run.outcomes.get(number) else { continue };
                let outcome = run.complete(call, created).await;
                errors += usize::from(outcome.is_err());
                run.set(number, outcome);
            }
        }
    }
    gather.finish().await;
    let base = Arc::clone(&run.state.base);
    let tried = request.operations.iter().zip(run.outcomes);
    tried.filter_map(|(operation, outcome)| Some(answer(operation, outcome?, &base))).collect()
}

/// Which operations create something that can be referred to.
fn places(operations: &[Operation]) -> HashMap<String, usize> {
    let creates = |operation: &Operation| operation.call.as_ref().map_or(true, |call| call.verb == Verb::Post);
    let named = operations.iter().enumerate().filter(|(_, operation)| creates(operation));
    named.filter_map(|(number, operation)| Some((operation.bulk_id.clone()?, number))).collect()
}

fn needs(operation: &Operation, places: &HashMap<String, usize>) -> Vec<usize> {
    let Ok(call) = &operation.call else { return Vec::new() };
    let in_path = reference::names(&Value::from(call.id.as_str()));
    let names = in_path.into_iter().chain(reference::names(&call.data));
    names.filter_map(|name| places.get(&name).copied()).collect()
}

/// What a single request would have been answered with, as far as a Bulk tells it.
struct Done {
    status: u16,
    id: String,
    version: Option<String>,
    /// Nobody was created: who was there is active again.
    revived: bool,
}

struct Run {
    state: ScimState,
    caller: Caller,
    places: HashMap<String, usize>,
    /// By the operation's number; `None`: not tried (yet).
    outcomes: Vec<Option<Result<Done, Failure>>>,
}

impl Run {
    fn set(&mut self, number: usize, outcome: Result<Done, Failure>) {
        if let Err(failure) = &outcome {
            tracing::info!(operation = number, detail = failure.detail(), "refused");
        }
        if let Some(slot) = self.outcomes.get_mut(number) {
            *slot = Some(outcome);
        }
    }

    /// Does one operation.
    async fn call(&self, call: &Call, later: &HashSet<usize>) -> Result<Done, Failure> {
        let id = match self.resolve(Value::from(call.id.as_str()), &HashSet::new())? {
            Value::String(id) => id,
            _ => String::new(),
        };
        let data = self.resolve(call.data.clone(), later)?;
        let mut headers =
            HeaderMap::from_iter([(HeaderName::from_static("prefer"), HeaderValue::from_static("return=minimal"))]);
        if let Some(version) = &call.version {
            let version = HeaderValue::from_str(version).map_err(|_| {
                ScimError::bad(ScimType::InvalidVers, "expected version to be as meta.version of the resource")
            })?;
            headers.insert(header::IF_MATCH, version);
        }
        let (kind, state, caller) = (call.kind, State(self.state.clone()), self.caller.clone());
        // Answers repeat no resources, so the members of a large group need not be read for one.
        let (path, params, body) = (Path(id.clone()), Params::only("id"), Json(data));
        let response = match call.verb {
            Verb::Post => create::create(kind, state, caller, params, body).await?,
            Verb::Put => replace::replace(kind, state, caller, path, params, headers, body).await?,
            Verb::Patch => patch::patch(kind, state, caller, path, params, headers, body).await?,
            Verb::Delete => delete::delete(kind, state, caller, path, headers).await?,
        };
        Ok(Done::of(&response, id))
    }

    /// Gives what was created without some of its references the whole of what was sent for it. If it can't have them
    /// (RFC 7644 §3.7.1), it goes again; who was there before is inactive, as before. All of it only if nobody changed it
    /// meanwhile: that is the later word.
    async fn complete(&self, call: &Call, created: &Done) -> Result<Done, Failure> {
        let (id, version) = (created.id.clone(), created.version.clone());
        let whole = Call { verb: Verb::Put, id, version, ..call.clone() };
        match self.call(&whole, &HashSet::new()).await {
            Ok(done) => Ok(Done { status: created.status, ..done }),
            Err(failure) => {
                let (verb, data) =
                    if created.revived { (Verb::Patch, deactivation()) } else { (Verb::Delete, Value::Null) };
                self.call(&Call { verb, data, ..whole }, &HashSet::new()).await?;
                Err(failure)
            }
        }
    }

    fn resolve(&self, value: Value, later: &HashSet<usize>) -> Result<Value, Failure> {
        let mut known = HashMap::new();
        for name in reference::names(&value) {
            let Some(place) = self.places.get(&name) else {
                let detail = "expected each bulkId that is referred to to stand at a POST of this request";
                return Err(ScimError::bad(ScimType::InvalidValue, detail).into());
            };
            let referent = match self.outcomes.get(*place).and_then(Option::as_ref) {
                _ if later.contains(place) => Referent::Later,
                Some(Ok(done)) => Referent::Id(done.id.clone()),
                _ => {
                    let detail = "an operation to which this one refers by its bulkId was not done".into();
                    return Err(ScimError { status: 409, scim_type: None, detail }.into());
                }
            };
            known.insert(name, referent);
        }
        Ok(reference::resolve(value, &|name| match known.get(name) {
            Some(Referent::Id(id)) => Referent::Id(id.clone()),
            _ => Referent::Later,
        }))
    }
}

impl Done {
    fn of(response: &Response, id: String) -> Self {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let made = text(header::LOCATION).and_then(|at| at.rsplit_once('/').map(|(_, id)| id.to_owned()));
        let revived = response.extensions().get::<Revived>().is_some();
        Self { status: response.status().as_u16(), id: made.unwrap_or(id), version: text(header::ETAG), revived }
    }
}

fn deactivation() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": false}],
    })
}

/// An operation's answer (RFC 7644 §3.7.3).
fn answer(operation: &Operation, outcome: Result<Done, Failure>, base: &str) -> Value {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            answer.insert(name.to_owned(), value);
        }
    };
    put("method", Some(operation.method.as_str().into()));
    put("bulkId", operation.bulk_id.as_deref().map(Value::from));
    let call = operation.call.as_ref().ok();
    let at = |id: &str| call.filter(|_| !id.is_empty()).map(|call| format!("{base}/{}/{id}", call.kind.endpoint()));
    match outcome {
        Ok(done) => {
            put("location", at(&done.id).map(Value::from));
            put("version", done.version.map(Value::from));
            put("status", Some(done.status.to_string().into()));
        }
        Err(failure) => {
            put("location", call.and_then(|call| at(&call.id)).map(Value::from));
            put("status", Some(failure.code().as_u16().to_string().into()));
            put("response", Some(failure.json()));
        }
    }
    Value::Object(answer)
}
