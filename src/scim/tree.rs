//! JSON in which each name of an object stands once. Of two, others take the first or the last (RFC 8259 §4), and so a
//! leaver may stay.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, map::Entry};

/// A value that was read so.
#[derive(Debug)]
pub(super) struct Tree(pub(super) Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder).map(Self)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sent: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Tree(value)) = sent.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut sent: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = sent.next_key::<String>()? {
            match object.entry(name) {
                Entry::Vacant(place) => {
                    let Tree(value) = sent.next_value()?;
                    place.insert(value);
                }
                Entry::Occupied(place) => {
                    let name: String = place.key().chars().take(64).collect();
                    return Err(A::Error::custom(format_args!("{name:?} is stated twice")));
                }
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_states_each_name_once_is_read_as_it_is() {
        let text =
            r#"{"a": [null, true, -7, 18446744073709551615, 1.5, "x\n\u00e9", {}], "b": {"a": {"A": 1, "a": 2}}}"#;
        let Tree(read) = serde_json::from_str(text).unwrap();
        assert_eq!(read, serde_json::from_str::<Value>(text).unwrap());
        assert!(serde_json::from_str::<Tree>(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn a_name_that_is_stated_twice_is_told_at_any_depth() {
        for text in [r#"{"a": 1, "a": 1}"#, r#"[{"b": {"c": [{"a": null, "x": 1, "\u0061": false}]}}]"#] {
            let error = serde_json::from_str::<Tree>(text).unwrap_err();
            assert!(error.is_data() && error.to_string().starts_with("\"a\" is stated twice at line 1"), "{error}");
        }
    }
}
