//! What an Agent must be beyond its attributes' types, whoever wrote it: POST, PUT or PATCH.

use serde_json::{Map, Value, json};

use super::{ResourceId, ScimError, ScimType};

/// Makes an Agent's attributes what we keep: a name, and owners as a list of ids, each once.
///
/// draft-abbey calls the name `name`, draft-wzdk `agentUserName`. The second is the one by which an Agent is unique and by
/// which policies call it; a client that knows only the first has named the Agent by that.
pub(super) fn settle(agent: &mut Map<String, Value>) -> Result<(), ScimError> {
    if !agent.contains_key("agentUserName")
        && let Some(name) = agent.get("name").cloned()
    {
        agent.insert("agentUserName".into(), name);
    }
    let mut ids: Vec<ResourceId> = Vec::new();
    for owner in agent.get("owners").and_then(Value::as_array).into_iter().flatten() {
        let id = owner_id(owner)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    set_owners(agent, ids);
    Ok(())
}

/// Makes these the owners; where there are none, the attribute isn't there.
pub(super) fn set_owners(agent: &mut Map<String, Value>, ids: Vec<ResourceId>) {
    if ids.is_empty() {
        agent.remove("owners");
    } else {
        agent.insert("owners".into(), ids.into_iter().map(kept).collect());
    }
}

/// An owner that is named, as we keep it. One that could be nobody is an error also where it is to be removed: whoever it
/// meant would silently stay.
pub(super) fn owner(named: &Value) -> Result<Value, ScimError> {
    owner_id(named).map(kept)
}

fn kept(id: ResourceId) -> Value {
    json!({"value": id.to_string()})
}

fn owner_id(named: &Value) -> Result<ResourceId, ScimError> {
    named.get("value").and_then(Value::as_str).and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = "expected each of owners to be a User of this identity provider, by its id as value";
        ScimError::bad(ScimType::InvalidValue, detail)
    })
}
