//! Some attributes of a stored body, without the others in memory: a million bodies are read at each start.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Reads of a body's text the top-level attributes of these names, and skips the rest.
pub fn pick(text: &str, names: &[String]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut body = serde_json::Deserializer::from_str(text);
    let picked = body.deserialize_map(Pick(names))?;
    body.end()?;
    Ok(picked)
}

struct Pick<'a>(&'a [String]);

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut body: A) -> Result<Self::Value, A::Error> {
        let mut picked = Map::new();
        while let Some(wanted) = body.next_key_seed(Name(self.0))? {
            match wanted {
                Some(name) => drop(picked.insert(name.to_owned(), body.next_value()?)),
                None => drop(body.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked)
    }
}

/// A name, if it is one of these.
struct Name<'a>(&'a [String]);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an attribute")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|name| *name == key).map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_named_is_read_and_nothing_else() {
        let names = ["userName", "urn:a:b", "active"].map(String::from);
        let body =
            r#"{"emails": [{"value": "a", "userName": "no"}], "user\u004eame": "\u0061da", "urn:a:b": {"c": 1}}"#;
        assert_eq!(Value::from(pick(body, &names).unwrap()), json!({"userName": "ada", "urn:a:b": {"c": 1}}));
        assert!(pick("{}", &names).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_object_is_an_error_also_behind_what_is_named() {
        let names = ["a".to_owned()];
        for text in ["", "[]", "7", r#"{"a": 1"#, r#"{"a": 1, "b": tru}"#, r#"{"a": 1} 2"#] {
            assert!(pick(text, &names).is_err(), "{text}");
        }
    }
}
