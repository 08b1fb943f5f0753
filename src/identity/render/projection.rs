//! `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use serde_json::Value;

use crate::identity::{
    ResourceKind,
    path::{AttrPath, Head},
    schema,
};

/// Which part of a resource is shown. What is `returned: always` is, whatever was asked.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    only: Option<Vec<Path>>,
    without: Vec<Path>,
}

/// From the top of a resource down, with canonical names.
type Path = Vec<String>;

impl Projection {
    /// Reads the two parameters: lists of paths, divided by commas; empty ones count as absent. What we don't know is
    /// shown to nobody, so it is ignored. Where both are given, both hold.
    pub fn read(attributes: Option<&str>, excluded: Option<&str>, kind: ResourceKind) -> Self {
        let only = paths(attributes.unwrap_or_default(), kind);
        let asked = attributes.is_some_and(|text| !text.trim().is_empty());
        Self { only: asked.then_some(only), without: paths(excluded.unwrap_or_default(), kind) }
    }

    /// Whether any part of a top-level attribute is shown: else it need not even be loaded.
    pub fn wants(&self, key: &str) -> bool {
        is_always(key)
            || (self
                .only
                .as_ref()
                .is_none_or(|only| only.iter().any(|path| path.first().is_some_and(|name| name == key)))
                && !self.without.iter().any(|path| matches!(path.as_slice(), [name] if name == key)))
    }

    /// Whether anything was asked for by name.
    pub fn is_explicit(&self) -> bool {
        self.only.is_some() || !self.without.is_empty()
    }

    /// Whether a path was asked for by its full name: what is `returned: request` is shown only then.
    pub fn asks_for(&self, path: &[&str]) -> bool {
        self.only.as_ref().is_some_and(|only| only.iter().any(|one| one == path))
    }

    /// Whether a path, or something below it, was asked for by its full name.
    pub fn asks_within(&self, path: &[&str]) -> bool {
        let begins = |one: &Path| one.len() >= path.len() && one.iter().zip(path).all(|(one, step)| one == step);
        self.only.as_ref().is_some_and(|only| only.iter().any(begins))
    }

    /// The part of a top-level attribute that is shown.
    pub fn keep(&self, key: &str, mut value: Value) -> Option<Value> {
        if is_always(key) {
            return Some(value);
        }
        if let Some(only) = &self.only {
            let below = below(only, key);
            if below.is_empty() {
                return None;
            }
            value = restrict(value, &below)?;
        }
        let below = below(&self.without, key);
        if below.iter().any(|path| path.is_empty()) {
            return None;
        }
        Some(if below.is_empty() { value } else { exclude(value, &below) })
    }
}

fn is_always(key: &str) -> bool {
    matches!(key, "id" | "schemas")
}

fn paths(text: &str, kind: ResourceKind) -> Vec<Path> {
    text.split(',').flat_map(|one| meant(one.trim(), kind)).collect()
}

/// All that a path may mean.
fn meant(text: &str, kind: ResourceKind) -> Vec<Path> {
    match Head::parse(text) {
        None => Vec::new(),
        Some(Head::Schema(urn)) if urn == schema::core(kind).id => Vec::new(),
        Some(Head::Schema(urn)) => vec![vec![urn.to_owned()]],
        Some(Head::Attribute(path)) => match (schema::resolve(kind, &path), path) {
            (Some(found), _) => {
                let names = [
                    found.extension.map(|schema| schema.id),
                    Some(found.attribute.name),
                    found.sub.map(|sub| sub.name),
                ];
                vec![names.into_iter().flatten().map(str::to_owned).collect()]
            }
            // An extension that we don't know is shown by its URN as a whole or by an attribute: both may be meant.
            (None, AttrPath { schema: Some(urn), name, sub: None }) => {
                vec![vec![format!("{urn}:{name}")], vec![urn, name]]
            }
            (None, AttrPath { schema: Some(urn), name, sub: Some(sub) }) => vec![vec![urn, name, sub]],
            (None, AttrPath { schema: None, .. }) => Vec::new(),
        },
    }
}

fn below<'a>(paths: &'a [Path], key: &str) -> Vec<&'a [String]> {
    paths
        .iter()
        .filter_map(|path| path.split_first())
        .filter(|(first, _)| *first == key)
        .map(|(_, rest)| rest)
        .collect()
}

fn next<'a>(paths: &[&'a [String]], key: &str) -> Vec<&'a [String]> {
    paths
        .iter()
        .filter_map(|path| path.split_first())
        .filter(|(first, _)| *first == key)
        .map(|(_, rest)| rest)
        .collect()
}

/// Recursion ends with the paths, which have at most three steps.
fn restrict(value: Value, paths: &[&[String]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value);
    }
    match value {
        Value::Array(values) => {
            let kept: Vec<_> = values.into_iter().filter_map(|value| restrict(value, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::Object(object) => {
            let kept: serde_json::Map<_, _> = object
                .into_iter()
                .filter_map(|(key, value)| {
                    let below = next(paths, &key);
                    if below.is_empty() { None } else { restrict(value, &below).map(|value| (key, value)) }
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => None,
    }
}

fn exclude(value: Value, paths: &[&[String]]) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(|value| exclude(value, paths)).collect(),
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter_map(|(key, value)| {
                    let below = next(paths, &key);
                    if below.iter().any(|path| path.is_empty()) {
                        return None;
                    }
                    Some(if below.is_empty() { (key, value) } else { (key, exclude(value, &below)) })
                })
                .collect(),
        ),
        value => value,
    }
}
