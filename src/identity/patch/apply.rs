//! Operations made so on a copy of a resource's attributes: an error leaves the resource as it is (RFC 7644 §3.5.2, "a
//! PATCH is atomic").

use serde_json::{Map, Value};

use super::{ForeignPath, Operation, Target, reference};
use crate::identity::{
    CompareOp, Edit, Filter, Limits, MemberOp, Mode, Resource, ResourceKind, ScimError, ScimType, agent,
    coerce::{MAX_VALUES, fields, is_primary, is_same},
    immutable,
    schema::{self, Attribute},
};

/// Most extensions of one resource.
const MAX_EXTENSIONS: usize = 20;

/// Applies a PATCH to a resource: its attributes after it, and how its members change.
pub fn apply(limits: Limits, operations: Vec<Operation>, resource: &Resource, mode: Mode) -> Result<Edit, ScimError> {
    let mut document = Document::of(resource);
    for operation in operations {
        if let Operation::SameId(id) = &operation {
            same_id(id, resource)?;
        } else {
            document.apply(operation, mode)?;
        }
    }
    let mut edit = document.finish(limits, resource.kind)?;
    reference::settle(resource.kind, &resource.attributes, &mut edit.attributes);
    immutable::hold(resource.kind, &resource.attributes, &mut edit.attributes, false)?;
    complete_extensions(resource.kind, &resource.attributes, &edit.attributes)?;
    Ok(edit)
}

/// An `id` in a body is no change, and never another resource's.
pub(in crate::identity) fn same_id(id: &str, resource: &Resource) -> Result<(), ScimError> {
    if id.eq_ignore_ascii_case(&resource.id.to_string()) {
        return Ok(());
    }
    Err(ScimError::bad(ScimType::Mutability, "expected id to be that of the resource: it never changes"))
}

/// A resource's attributes while they change, `externalId` among them.
#[derive(Debug, Default)]
pub(in crate::identity) struct Document {
    root: Map<String, Value>,
    members: Vec<MemberOp>,
    /// Made of a whole resource, in which an object under a URN is an extension (RFC 7643 §3.3), never an attribute of
    /// another one.
    is_whole: bool,
}

impl Document {
    fn of(resource: &Resource) -> Self {
        let mut root = resource.attributes.clone();
        if let Some(id) = &resource.external_id {
            root.insert("externalId".into(), id.as_str().into());
        }
        Self { root, members: Vec::new(), is_whole: false }
    }

    pub(in crate::identity) fn whole() -> Self {
        Self { is_whole: true, ..Self::default() }
    }

    pub(in crate::identity) fn apply(&mut self, operation: Operation, mode: Mode) -> Result<(), ScimError> {
        match operation {
            Operation::SameId(_) => Ok(()),
            Operation::Put { add, target, value } => self.put(add, &target, value, mode),
            Operation::PutForeign { path, value } => self.put_foreign(&path, value),
            Operation::Remove(target) => self.put(false, &target, Value::Null, Mode::Compat),
            Operation::RemoveValues(target, values) => {
                self.remove_values(&target, &values);
                Ok(())
            }
            Operation::RemoveExtension(urn) => {
                self.root.remove(urn);
                Ok(())
            }
            Operation::RemoveForeign(path) => {
                self.remove_foreign(&path);
                Ok(())
            }
            Operation::Members(op) => {
                self.members.push(op);
                Ok(())
            }
        }
    }

    /// The result, if it is a resource.
    pub(in crate::identity) fn finish(mut self, limits: Limits, kind: ResourceKind) -> Result<Edit, ScimError> {
        let external_id = match self.root.remove("externalId") {
            Some(Value::String(id)) => Some(id),
            _ => None,
        };
        if kind == ResourceKind::Agent {
            agent::settle(&mut self.root)?;
        }
        self.root.retain(|key, value| !(key.contains(':') && value.as_object().is_some_and(Map::is_empty)));
        for attribute in schema::core(kind).attributes.iter().filter(|attribute| attribute.required) {
            // A new user's `active` has a default, and nothing can take it from an old one.
            if !self.root.contains_key(attribute.name) && attribute.name != "active" {
                let detail = format!("expected {}, not empty", attribute.name);
                return Err(ScimError::bad(ScimType::InvalidValue, detail));
            }
        }
        if self.root.keys().filter(|key| key.contains(':')).count() > MAX_EXTENSIONS {
            return Err(too_many(format!("expected at most {MAX_EXTENSIONS} extensions")));
        }
        if serde_json::to_string(&self.root).is_ok_and(|json| json.len() > limits.resource_size) {
            return Err(too_many(format!("expected a resource of at most {} bytes", limits.resource_size)));
        }
        Ok(Edit { external_id, attributes: self.root, members: self.members, skip_unknown_members: false })
    }

    /// Where the attribute stands; made only if it is to be written.
    fn holder(&mut self, target: &Target, make: bool) -> Option<&mut Map<String, Value>> {
        let Some(urn) = target.extension else { return Some(&mut self.root) };
        if !make && !self.root.contains_key(urn) {
            return None;
        }
        self.root.entry(urn).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    }

    fn put(&mut self, add: bool, target: &Target, value: Value, mode: Mode) -> Result<(), ScimError> {
        let name = target.attribute.name;
        let Some(holder) = self.holder(target, !value.is_null()) else { return Ok(()) };
        match (&target.filter, target.sub) {
            (Some(filter), sub) => {
                let found = elements(holder.remove(name));
                let left = Selected { target, filter, sub: sub.map(|sub| sub.name) }.put(add, found, &value, mode)?;
                if !left.is_empty() {
                    holder.insert(name.into(), Value::Array(left));
                }
            }
            (None, Some(_)) if target.attribute.multi => {
                let detail = format!("expected a filter that says which, as {name}[type eq \"work\"]");
                return Err(ScimError::bad(ScimType::InvalidPath, detail));
            }
            (None, Some(sub)) => {
                let mut object = match holder.remove(name) {
                    Some(Value::Object(object)) => object,
                    _ => Map::new(),
                };
                set(&mut object, sub.name, value);
                if !object.is_empty() {
                    holder.insert(name.into(), Value::Object(object));
                }
            }
            (None, None) if value.is_null() && target.attribute.required && holder.contains_key(name) => {
                return Err(ScimError::bad(ScimType::Mutability, format!("{name} is required and can't be removed")));
            }
            (None, None) if add && target.attribute.multi => append(holder, name, value)?,
            (None, None) => match (holder.get_mut(name), value) {
                // RFC 7644 §3.5.2.3: of a complex attribute, only the sub-attributes that are stated change.
                (Some(Value::Object(before)), Value::Object(value)) => before.extend(value),
                (_, value) => set(holder, name, value),
            },
        }
        Ok(())
    }

    fn remove_values(&mut self, target: &Target, values: &[Value]) {
        let Some(holder) = self.holder(target, false) else { return };
        let mut left = elements(holder.remove(target.attribute.name));
        left.retain(|element| !values.iter().any(|value| says(element, value)));
        if !left.is_empty() {
            holder.insert(target.attribute.name.into(), Value::Array(left));
        }
    }

    fn put_foreign(&mut self, path: &ForeignPath, value: Value) -> Result<(), ScimError> {
        if value.is_null() {
            if !self.is_whole {
                self.remove_foreign(path);
            }
            return Ok(());
        }
        match (self.root.contains_key(&path.urn) && !self.is_whole, value) {
            (false, Value::Object(value)) => {
                let extension = self.root.entry(path.whole()).or_insert_with(|| Value::Object(Map::new()));
                if let Some(extension) = extension.as_object_mut() {
                    for (key, value) in value {
                        set(extension, &key, value);
                    }
                }
            }
            // A core attribute has no colon: nothing foreign may take its place.
            (_, value) if path.urn.contains(':') => {
                let extension = self.root.entry(&path.urn).or_insert_with(|| Value::Object(Map::new()));
                if let Some(extension) = extension.as_object_mut() {
                    set(extension, &path.name, value);
                }
            }
            _ => {
                let detail = "expected an extension to be an object under its schema's URN";
                return Err(ScimError::bad(ScimType::InvalidPath, detail));
            }
        }
        Ok(())
    }

    fn remove_foreign(&mut self, path: &ForeignPath) {
        if self.root.remove(&path.whole()).is_none()
            && path.urn.contains(':')
            && let Some(Value::Object(extension)) = self.root.get_mut(&path.urn)
        {
            extension.remove(&path.name);
        }
    }
}

/// What an extension requires is there, if anything of it is (RFC 7643 §2.2): of each value of a complex attribute, too.
/// One that stays as it was is not looked at: it may be of the time before it was configured so, and nobody's
/// deactivation fails by that.
pub(in crate::identity) fn complete_extensions(
    kind: ResourceKind,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Result<(), ScimError> {
    let changed = |id: &&str| before.get(*id) != after.get(*id);
    for schema in schema::extensions(kind).iter().filter(|schema| changed(&schema.id)) {
        if let Some(held) = after.get(schema.id).and_then(Value::as_object) {
            complete(schema.attributes, held)?;
        }
    }
    Ok(())
}

fn complete(attributes: &[Attribute], held: &Map<String, Value>) -> Result<(), ScimError> {
    for attribute in attributes {
        match held.get(attribute.name) {
            None if attribute.required => {
                let detail = format!("expected {}, not empty", attribute.name);
                return Err(ScimError::bad(ScimType::InvalidValue, detail));
            }
            Some(Value::Array(values)) => {
                values.iter().filter_map(Value::as_object).try_for_each(|value| complete(attribute.subs(), value))?;
            }
            Some(Value::Object(value)) => complete(attribute.subs(), value)?,
            _ => {}
        }
    }
    Ok(())
}

/// The elements that a filter finds.
struct Selected<'a> {
    target: &'a Target,
    filter: &'a Filter,
    sub: Option<&'static str>,
}

impl Selected<'_> {
    /// Puts a value into each element found, or null: takes it away. Where none is found, one is made of what the filter
    /// asserts, since Entra's `emails[type eq "work"].value` on a user without e-mail means just that.
    fn put(&self, add: bool, mut elements: Vec<Value>, value: &Value, mode: Mode) -> Result<Vec<Value>, ScimError> {
        let attribute = self.target.attribute;
        let mut found: Vec<bool> =
            elements.iter().map(|element| self.filter.matches_element(attribute, element)).collect();
        if value.is_null() {
            let mut found = found.into_iter();
            elements.retain_mut(|element| !found.next().unwrap_or_default() || self.keeps_rest(element));
            return Ok(elements);
        }
        if !found.contains(&true) {
            let new = if mode.lenient() { asserted(self.filter) } else { None };
            let Some(new) = new else {
                let detail = format!("no value of {} matches the filter", attribute.name);
                return Err(ScimError::bad(ScimType::NoTarget, detail));
            };
            if elements.len() >= MAX_VALUES {
                return Err(too_many(format!("expected at most {MAX_VALUES} values of {}", attribute.name)));
            }
            elements.push(Value::Object(new));
            found.push(true);
        }
        for (element, _) in elements.iter_mut().zip(&found).filter(|(_, found)| **found) {
            self.write(add, element, value);
        }
        let mut fresh = found.iter();
        one_primary(&mut elements, |_| fresh.next().copied().unwrap_or_default())?;
        Ok(elements)
    }

    fn write(&self, add: bool, element: &mut Value, value: &Value) {
        match (self.sub, value, element) {
            (Some(sub), value, Value::Object(element)) => set(element, sub, value.clone()),
            (None, Value::Object(value), Value::Object(element)) => {
                if !add {
                    *element = asserted(self.filter).unwrap_or_default();
                }
                element.extend(value.clone());
            }
            (_, value, element) => *element = value.clone(),
        }
    }

    /// Whether something is left of an element of which the target is taken away.
    fn keeps_rest(&self, element: &mut Value) -> bool {
        match (self.sub, element) {
            (Some(sub), Value::Object(element)) => {
                element.remove(sub);
                !element.is_empty()
            }
            _ => false,
        }
    }
}

/// What an element must be for a filter to find it, if the filter says so plainly: equalities tied by `and`.
fn asserted(filter: &Filter) -> Option<Map<String, Value>> {
    match filter {
        Filter::And(left, right) => {
            let mut all = asserted(left)?;
            all.extend(asserted(right)?);
            Some(all)
        }
        Filter::Compare(path, CompareOp::Eq, value) => Some(Map::from_iter([(path.name.clone(), value.clone())])),
        _ => None,
    }
}

fn append(holder: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), ScimError> {
    let mut list = elements(holder.remove(name));
    let mut is_fresh = vec![false; list.len()];
    for value in elements(Some(value)) {
        // RFC 7644 §3.5.2.1: what is there already is not added again; only what more is said of it.
        if list.contains(&value) {
            continue;
        }
        if let Some(at) = list.iter().position(|one| is_same(one, &value)) {
            if let (Some(Value::Object(one)), Some(fresh)) = (list.get_mut(at), is_fresh.get_mut(at)) {
                one.extend(fields(value));
                *fresh = true;
            }
        } else {
            list.push(value);
            is_fresh.push(true);
        }
    }
    if list.len() > MAX_VALUES {
        return Err(too_many(format!("expected at most {MAX_VALUES} values of {name}")));
    }
    one_primary(&mut list, |at| is_fresh.get(at).copied().unwrap_or_default())?;
    if !list.is_empty() {
        holder.insert(name.into(), Value::Array(list));
    }
    Ok(())
}

/// RFC 7644 §3.5.2: a new primary value makes the others not primary.
fn one_primary(list: &mut [Value], mut is_fresh: impl FnMut(usize) -> bool) -> Result<(), ScimError> {
    let fresh: Vec<bool> = (0..list.len()).map(&mut is_fresh).collect();
    let primary = list.iter().zip(&fresh).filter(|(value, fresh)| **fresh && is_primary(value)).count();
    if primary > 1 {
        return Err(ScimError::bad(ScimType::InvalidValue, "expected at most one primary value"));
    }
    if primary == 1 {
        for (value, _) in list.iter_mut().zip(&fresh).filter(|(value, fresh)| !**fresh && is_primary(value)) {
            if let Value::Object(value) = value {
                value.insert("primary".into(), false.into());
            }
        }
    }
    Ok(())
}

fn elements(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(elements)) => elements,
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![one],
    }
}

/// Whether an element says all that a (partial) value says.
fn says(element: &Value, value: &Value) -> bool {
    match (element, value) {
        (Value::Object(element), Value::Object(value)) => {
            value.iter().all(|(key, value)| element.get(key) == Some(value))
        }
        _ => element == value,
    }
}

fn set(object: &mut Map<String, Value>, key: &str, value: Value) {
    if value.is_null() {
        object.remove(key);
    } else {
        object.insert(key.to_owned(), value);
    }
}

fn too_many(detail: String) -> ScimError {
    ScimError::bad(ScimType::TooMany, detail)
}
