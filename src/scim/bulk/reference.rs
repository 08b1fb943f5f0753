//! `bulkId:NAME` in place of an id that is not known yet (RFC 7644 §3.7.2): as a whole string, as the end of a URI, or in
//! a filter between quotes.

use serde_json::Value;

const MARK: &str = "bulkId:";

/// What stands for a reference.
pub(super) enum Referent {
    /// The id of what was created.
    Id(String),
    /// Not known yet: whatever holds it is left out.
    Later,
}

/// The names that a value refers to.
pub(super) fn names(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(in_text(text).map(|(_, name)| name.to_owned())),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(object) => object.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// A value with its references replaced. What holds one that is for later is left out as a whole: a member without its
/// `value`, or a manager, would be another statement; a resource or an extension loses only that attribute.
pub(super) fn resolve(value: Value, referent: &dyn Fn(&str) -> Referent) -> Value {
    replaced(value, referent, true).unwrap_or_default()
}

fn replaced(value: Value, referent: &dyn Fn(&str) -> Referent, is_resource: bool) -> Option<Value> {
    match value {
        Value::String(text) => replaced_text(&text, referent).map(Value::String),
        Value::Array(values) => Some(values.into_iter().filter_map(|value| replaced(value, referent, false)).collect()),
        Value::Object(object) => {
            let mut kept = serde_json::Map::new();
            for (key, value) in object {
                match replaced(value, referent, key.contains(':')) {
                    Some(value) => {
                        kept.insert(key, value);
                    }
                    None if is_resource => {}
                    None => return None,
                }
            }
            Some(Value::Object(kept))
        }
        value => Some(value),
    }
}

fn replaced_text(text: &str, referent: &dyn Fn(&str) -> Referent) -> Option<String> {
    let (mut replaced, mut done) = (String::new(), 0);
    for (at, name) in in_text(text) {
        let Referent::Id(id) = referent(name) else { return None };
        replaced.push_str(text.get(done..at).unwrap_or_default());
        replaced.push_str(&id);
        done = at + MARK.len() + name.len();
    }
    replaced.push_str(text.get(done..).unwrap_or_default());
    Some(replaced)
}

/// Where a text refers, and to what.
fn in_text(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices(MARK).filter_map(move |(at, mark)| {
        let (before, rest) = text.split_at_checked(at)?;
        let name = rest.get(mark.len()..)?;
        let name = name.split(['"', '/']).next()?;
        let begins = before.is_empty() || before.ends_with(['"', '/']);
        (begins && !name.is_empty()).then_some((at, name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: Value) -> Value {
        resolve(value, &|name| if name == "later" { Referent::Later } else { Referent::Id(format!("id-{name}")) })
    }

    #[test]
    fn references_stand_as_values_in_uris_and_in_filters_and_nowhere_else() {
        let data = json!({
            "members": [{"value": "bulkId:a", "$ref": "../Users/bulkId:a"}],
            "path": "members[value eq \"bulkId:a\" or value eq \"bulkId:b\"]",
            "title": "the bulkId:a of it", "n": 7, "empty": "bulkId:",
        });
        assert_eq!(names(&data), ["a", "a", "a", "b"]);
        let expected = json!({
            "members": [{"value": "id-a", "$ref": "../Users/id-a"}],
            "path": "members[value eq \"id-a\" or value eq \"id-b\"]",
            "title": "the bulkId:a of it", "n": 7, "empty": "bulkId:",
        });
        assert_eq!(shown(data), expected);
    }

    #[test]
    fn what_holds_a_reference_for_later_is_left_out_and_the_rest_stays() {
        let extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let data = json!({
            "userName": "a", "x": "bulkId:later",
            "members": [{"value": "bulkId:later", "type": "Group"}, {"value": "bulkId:b"}],
            extension: {"department": "d", "manager": {"value": "bulkId:later"}},
        });
        let expected = json!({"userName": "a", "members": [{"value": "id-b"}], extension: {"department": "d"}});
        assert_eq!(shown(data), expected);
    }
}
