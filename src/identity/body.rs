//! A whole resource as POST and PUT send it (RFC 7644 §3.3, §3.5.1).

use serde_json::Value;

use super::{
    Edit, MemberOp, Mode, Resource, ResourceKind, ScimError, ScimType,
    patch::{Document, Expanded, expand, same_id},
};

/// A whole resource that was sent.
#[derive(Clone, Debug)]
pub struct Whole {
    kind: ResourceKind,
    id: Option<Value>,
    edit: Edit,
}

impl Whole {
    /// Reads and checks a body.
    pub fn read(body: Value, kind: ResourceKind, mode: Mode) -> Result<Self, ScimError> {
        let Value::Object(body) = body else {
            let detail = format!("expected a {} object", kind.as_str());
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        };
        let Expanded { operations, members, id, .. } = expand(body, false, kind, mode)?;
        let mut document = Document::default();
        for operation in operations {
            document.apply(operation, mode)?;
        }
        let mut edit = document.finish(kind)?;
        edit.members.extend(members);
        Ok(Self { kind, id, edit })
    }

    /// As a new resource. An `id` that was sent is ignored: ours are never taken from a client.
    pub fn create(mut self) -> Edit {
        if self.kind == ResourceKind::User {
            self.edit.attributes.entry("active").or_insert(Value::Bool(true));
        }
        self.edit
    }

    /// In the place of a resource. What is not sent is gone (RFC 7644 §3.5.1), members too: some clients leave out an
    /// empty list, and a group that can't be emptied keeps leavers in. But for `active`: saying nothing of it revives
    /// nobody.
    pub fn replace(mut self, current: &Resource) -> Result<Edit, ScimError> {
        match &self.id {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) => same_id(id, current)?,
            Some(_) => return Err(ScimError::bad(ScimType::InvalidValue, "expected id to be a string")),
        }
        match self.kind {
            ResourceKind::User => {
                self.edit.attributes.entry("active").or_insert(Value::Bool(current.active()));
            }
            ResourceKind::Group if self.edit.members.is_empty() => {
                self.edit.members.push(MemberOp::Replace(Vec::new()));
            }
            ResourceKind::Group => {}
        }
        Ok(self.edit)
    }

    /// `userName` or `displayName`.
    pub fn name(&self) -> Option<&str> {
        let key = if self.kind == ResourceKind::User { "userName" } else { "displayName" };
        self.edit.attributes.get(key).and_then(Value::as_str)
    }

    /// `externalId`, where it was sent and is not empty.
    pub fn external_id(&self) -> Option<&str> {
        self.edit.external_id.as_deref()
    }
}
