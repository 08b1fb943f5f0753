//! The objects of the simulated cluster, and every change of them in its order.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub resource: String,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

pub type Object = Arc<Value>;

/// One change; absent objects are `None`.
#[derive(Clone)]
pub struct Change {
    pub key: Key,
    pub before: Option<Object>,
    pub after: Option<Object>,
}

/// What all API servers write to and read from.
#[derive(Default)]
pub struct Etcd {
    objects: BTreeMap<Key, Object>,
    pub log: Vec<Change>,
    uids: u64,
}

impl Etcd {
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// All of a resource, in a namespace or everywhere.
    pub fn list<'a>(
        &'a self,
        resource: &'a str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Object)> {
        self.objects.iter().filter(move |(key, _)| {
            key.resource == resource && namespace.is_none_or(|namespace| key.namespace == namespace)
        })
    }

    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter()
    }

    /// Number of the last change.
    pub fn revision(&self) -> usize {
        self.log.len()
    }

    /// Puts an object, new or changed; its metadata is completed as an API server does it.
    pub fn put(&mut self, key: &Key, mut object: Value, now: &str) -> Object {
        let before = self.objects.get(key).cloned();
        let meta = &mut object["metadata"];
        meta["name"] = json!(key.name);
        if !key.namespace.is_empty() {
            meta["namespace"] = json!(key.namespace);
        }
        if let Some(before) = &before {
            for kept in ["uid", "creationTimestamp"] {
                meta[kept] = before["metadata"][kept].clone();
            }
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(1);
            let changed = before["spec"] != object["spec"];
            object["metadata"]["generation"] = json!(generation + i64::from(changed));
        } else {
            self.uids += 1;
            meta["uid"] = json!(format!("uid-{}", self.uids));
            meta["creationTimestamp"] = json!(now);
            meta["generation"] = json!(1);
        }
        object["metadata"]["resourceVersion"] = json!((self.log.len() + 1).to_string());
        let object = Arc::new(object);
        self.objects.insert(key.clone(), object.clone());
        self.log.push(Change { key: key.clone(), before, after: Some(object.clone()) });
        object
    }

    /// Whether it was there.
    pub fn delete(&mut self, key: &Key) -> bool {
        let Some(before) = self.objects.remove(key) else { return false };
        self.log.push(Change { key: key.clone(), before: Some(before), after: None });
        true
    }
}

/// RFC 7386.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(name)),
            value => merge(&mut target[name], value),
        }
    }
}

pub fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}
