//! All keys that there are, read off the configuration's schema: so that each is an environment variable without being
//! listed, and an unknown one can be answered with the nearest known one.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// A key that there is.
pub(super) struct Key {
    /// As `listen.http`, `idps[].name`, `targets.NAME.audience`.
    pub(super) path: String,
    /// What stands under it.
    pub(super) shape: Shape,
}

/// What stands under a key, as far as a text must be read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Keys of its own, fixed ones: no value by itself.
    Section,
    /// A text is taken as it is.
    Text,
    /// Numbers and booleans.
    Scalar,
    /// A list.
    List,
    /// Keys that the admin chooses.
    Map,
}

/// Every key.
pub(super) fn all() -> Vec<Key> {
    let schema = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Config>();
    let mut keys = Vec::new();
    below("", schema.as_value(), &mut keys);
    keys
}

/// `listen.http` → `SCIM_TEKTON_LISTEN_HTTP`; `None` for what stands in a list or under a chosen name.
pub(super) fn variable(key: &Key) -> Option<String> {
    if key.shape == Shape::Section || key.path.contains("[]") || key.path.contains("NAME") {
        return None;
    }
    let mut name = String::from(super::load::PREFIX);
    for c in key.path.chars() {
        match c {
            '.' => name.push('_'),
            c if c.is_ascii_uppercase() => {
                name.push('_');
                name.push(c);
            }
            c => name.push(c.to_ascii_uppercase()),
        }
    }
    Some(name)
}

/// The candidate that is most like what was found.
pub(super) fn nearest<'a>(found: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates.min_by_key(|candidate| strsim::damerau_levenshtein(found, candidate))
}

/// The known key most like an unknown one: one of the same section if there is any.
pub(super) fn nearest_key(unknown: &str) -> Option<String> {
    let keys = all();
    let (parent, _) = pattern(unknown, &keys);
    let siblings = keys.iter().map(|key| key.path.as_str()).filter(|path| in_section(path, &parent));
    nearest(unknown, siblings).or_else(|| nearest(unknown, keys.iter().map(|key| key.path.as_str()))).map(Into::into)
}

fn in_section(path: &str, parent: &str) -> bool {
    match path.rsplit_once('.') {
        Some((section, _)) => section == parent,
        None => parent.is_empty(),
    }
}

/// Turns `targets.aws.audiense` into its section's pattern `targets.NAME` and its last part.
fn pattern(unknown: &str, keys: &[Key]) -> (String, String) {
    let mut known = String::new();
    let mut parts = unknown.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return (known, part.to_owned());
        }
        let dotted = if known.is_empty() { part.to_owned() } else { format!("{known}.{part}") };
        known = if part.bytes().all(|b| b.is_ascii_digit()) {
            format!("{known}[]")
        } else if keys.iter().any(|key| key.path == dotted) {
            dotted
        } else {
            format!("{known}.NAME")
        };
    }
    (known, String::new())
}

fn below(path: &str, schema: &Value, keys: &mut Vec<Key>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, schema) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            keys.push(Key { path: path.clone(), shape: shape(schema) });
            below(&path, schema, keys);
        }
    }
    if let Some(items) = schema.get("items") {
        below(&format!("{path}[]"), items, keys);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        below(&format!("{path}.NAME"), values, keys);
    }
}

fn shape(schema: &Value) -> Shape {
    if schema.get("properties").is_some() {
        return Shape::Section;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => Shape::List,
        Some("object") => Shape::Map,
        Some("boolean" | "integer" | "number") => Shape::Scalar,
        _ => Shape::Text,
    }
}
