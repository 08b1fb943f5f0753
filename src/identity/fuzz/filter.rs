//! Filters and orders.

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{bounded, fuzz, soup};
use crate::identity::{Filter, Mode, Resource, ResourceId, ResourceKind, Sort};

const KINDS: [ResourceKind; 2] = [ResourceKind::User, ResourceKind::Group];

fn resource(kind: ResourceKind) -> Resource {
    let Value::Object(attributes) = json!({
        "userName": "Alice", "displayName": "Ä", "active": false, "name": {"familyName": "é"},
        "emails": [{"type": "work", "value": "a@b.c", "primary": true}, {"value": "x"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": {"value": "m"}},
    }) else {
        panic!("an object")
    };
    let (id, idp, at) = (ResourceId(Uuid::from_u128(1)), "okta".into(), DateTime::UNIX_EPOCH);
    Resource { id, kind, idp, external_id: Some("e".into()), attributes, version: 1, created: at, last_modified: at }
}

/// Reads a text in every way, and asks every filter that comes of it.
fn read(text: &str) -> Result<(), TestCaseError> {
    bounded(|| {
        for kind in KINDS {
            for mode in [Mode::Compat, Mode::Strict] {
                if let Ok(filter) = Filter::parse(text, kind, mode) {
                    filter.matches(&resource(kind), &[ResourceId(Uuid::from_u128(7))]);
                    filter.indexable(kind);
                }
            }
            if let Ok(sort) = Sort::parse(text, None, kind) {
                sort.place(&resource(kind));
            }
        }
    })
}

#[test]
fn no_text_breaks_a_filter() {
    fuzz(3_000, &prop_oneof![4 => soup(), 1 => any::<String>()], |text| read(&text));
}

/// Patterns that have cost other parsers exponential time, up to and far beyond the cap.
#[test]
fn no_filter_costs_more_than_its_length() {
    let piece = prop::sample::select(
        &["(", ")", "not (", "emails[", "]", "[", "title pr and ", "title pr or ", "\"", "\\\"", " "][..],
    );
    let long = (piece.clone(), piece, 1_usize..20_000, any::<bool>()).prop_map(|(a, b, times, both)| {
        if both { (a.to_owned() + b).repeat(times) } else { a.repeat(times) + &b.repeat(times) }
    });
    fuzz(200, &long, |text| read(&text));
    for depth in [33, 100, 10_000, 1_000_000] {
        let nested = format!("{}title pr{}", "(".repeat(depth), ")".repeat(depth));
        let error = Filter::parse(&nested, ResourceKind::User, Mode::Compat).unwrap_err();
        assert_eq!((error.status, error.scim_type.unwrap().as_str()), (400, "invalidFilter"));
    }
}
