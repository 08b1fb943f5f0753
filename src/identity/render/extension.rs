//! An extension's attributes, each as its schema says that it is returned (RFC 7643 §2.2).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Projection;
use crate::identity::schema::{Returned, Schema};

/// The part of an extension that is shown; `None` if nothing is.
pub(super) fn shown<'a>(schema: &Schema, held: &'a Value, projection: &Projection) -> Option<Cow<'a, Value>> {
    let on_request = || schema.attributes.iter().any(|attribute| attribute.returned == Returned::Request);
    if !projection.is_explicit() && !on_request() {
        return held.as_object().is_some_and(|held| !held.is_empty()).then_some(Cow::Borrowed(held));
    }
    let mut rest = held.as_object()?.clone();
    let mut always = Map::new();
    for attribute in schema.attributes {
        match attribute.returned {
            Returned::Always => {
                if let Some(value) = rest.remove(attribute.name) {
                    always.insert(attribute.name.to_owned(), value);
                }
            }
            Returned::Request if !projection.asks_within(&[schema.id, attribute.name]) => {
                rest.remove(attribute.name);
            }
            Returned::Request | Returned::Default => {}
        }
    }
    let mut shown = match projection.keep(schema.id, Value::Object(rest)) {
        Some(Value::Object(shown)) => shown,
        _ => Map::new(),
    };
    shown.extend(always);
    (!shown.is_empty()).then_some(Cow::Owned(Value::Object(shown)))
}
