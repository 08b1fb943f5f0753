//! Sorting (RFC 7644 §3.4.2.3): by what, and where that puts a resource.

use std::cmp::{Ordering, Reverse};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    AttrPath, Head, Resource, ResourceKind, ScimError, ScimType, coerce::is_primary, filter::filterable, fold,
    path::quoted, schema,
};

/// Characters of a text that are compared: of many places in an order, none is large.
const MAX_KEY: usize = 256;

/// An order of resources of one type: by an attribute, and among equals by creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    path: AttrPath,
    exact: bool,
    is_time: bool,
    descending: bool,
}

/// Where a resource stands in an order. One order's places are comparable with each other only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Descending, and nothing to sort by.
    First,
    /// Ascending.
    Up(Key),
    /// Descending.
    Down(Reverse<Key>),
    /// Ascending, and nothing to sort by.
    Last,
}

/// What is compared. All values of one attribute are of one type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// False before true.
    Bool(bool),
    /// Earlier before later.
    Time(DateTime<Utc>),
    /// By size.
    Number(Size),
    /// By code points of its beginning; folded, where case doesn't count.
    Text(String),
}

/// How large a number is: nearly, and whole numbers exactly, since a float does not hold all of them.
#[derive(Clone, Copy, Debug)]
pub struct Size(f64, i64);

impl Ord for Size {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Size {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Size {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Size {}

impl Sort {
    /// Reads `sortBy` and `sortOrder` (ascending, if that is all that is said).
    pub fn parse(by: &str, order: Option<&str>, kind: ResourceKind) -> Result<Self, ScimError> {
        let descending = match order.map(str::trim) {
            None | Some("") => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(_) => return Err(bad("expected sortOrder to be ascending or descending".into())),
        };
        let unknown = || bad(format!("expected sortBy to be an attribute of {}, not {}", kind.as_str(), quoted(by)));
        let Some(Head::Attribute(path)) = Head::parse(by.trim()) else { return Err(unknown()) };
        let found = schema::resolve(kind, &path).ok_or_else(unknown)?;
        let name = found.attribute.name;
        // Members stand apart: to sort by them would be to read them all.
        if !filterable(found.attribute, found.sub) || name == "members" {
            return Err(bad(format!("expected an attribute that can be sorted by, not {}", quoted(by))));
        }
        let leaf = found.leaf();
        let compared = leaf
            .comparable()
            .ok_or_else(|| bad(format!("expected {name} to be sorted by one of its sub-attributes")))?;
        if matches!(compared.ty, schema::Type::Binary) {
            return Err(bad(format!("expected an attribute that can be sorted by, not binary {}", quoted(by))));
        }
        let sub = found.sub.or_else(|| (compared.name != leaf.name).then_some(compared)).map(|sub| sub.name.to_owned());
        let path = AttrPath { schema: found.extension.map(|one| one.id.into()), name: name.into(), sub };
        let is_time = matches!(compared.ty, schema::Type::DateTime);
        Ok(Self { path, exact: compared.case_exact, is_time, descending })
    }

    /// Whether this is the order of the names by which resources of a type are unique.
    pub fn is_by_name(&self, kind: ResourceKind) -> bool {
        let name = kind.name_attribute();
        self.path.schema.is_none() && self.path.name == name && !self.exact
    }

    /// Whether the order is descending.
    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// Where a resource stands.
    pub fn place(&self, resource: &Resource) -> Place {
        match (self.key(resource), self.descending) {
            (Some(key), false) => Place::Up(key),
            (Some(key), true) => Place::Down(Reverse(key)),
            (None, false) => Place::Last,
            (None, true) => Place::First,
        }
    }

    fn key(&self, resource: &Resource) -> Option<Key> {
        let path = &self.path;
        if path.schema.is_none() {
            match (path.name.as_str(), path.sub.as_deref()) {
                ("id", _) => return self.text(&resource.id.to_string()),
                ("externalId", _) => return self.text(resource.external_id.as_deref()?),
                ("active", _) => return Some(Key::Bool(resource.active())),
                ("schemas", _) => return self.text(resource.schemas().next()?),
                ("meta", Some("created")) => return Some(Key::Time(resource.created)),
                ("meta", Some("lastModified")) => return Some(Key::Time(resource.last_modified)),
                ("meta", Some("resourceType")) => return self.text(resource.kind.as_str()),
                ("meta", Some("version")) => return self.text(&resource.etag()),
                _ => {}
            }
        }
        let holder = match &path.schema {
            None => &resource.attributes,
            Some(urn) => resource.attributes.get(urn)?.as_object()?,
        };
        // Of several values the primary one, or else the first.
        let value = match holder.get(&path.name)? {
            Value::Array(values) => values.iter().find(|value| is_primary(value)).or(values.first())?,
            value => value,
        };
        let value = match &path.sub {
            Some(sub) => value.get(sub)?,
            None => value,
        };
        match value {
            Value::Bool(value) => Some(Key::Bool(*value)),
            Value::Number(number) => Some(Key::Number(Size(number.as_f64()?, number.as_i64().unwrap_or(0)))),
            // Two spellings of one moment are equal.
            value if self.is_time => {
                DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| Key::Time(at.to_utc()))
            }
            value => self.text(value.as_str()?),
        }
    }

    fn text(&self, text: &str) -> Option<Key> {
        let beginning = |text: &str| text.chars().take(MAX_KEY).collect::<String>();
        let text = if self.exact { beginning(text) } else { beginning(&fold(text)) };
        (!text.is_empty()).then_some(Key::Text(text))
    }
}

fn bad(detail: String) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::identity::ResourceId;

    fn user(n: u32, attributes: Value) -> Resource {
        let Value::Object(attributes) = attributes else { panic!("an object") };
        let at = Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, n).unwrap();
        let id = ResourceId(Uuid::from_u128(n.into()));
        let external_id = attributes.get("nickName").and_then(Value::as_str).map(Into::into);
        let (kind, idp) = (ResourceKind::User, "okta".into());
        Resource { id, kind, idp, external_id, attributes, version: 1, created: at, last_modified: at }
    }

    fn sorted(by: &str, order: Option<&str>) -> Vec<usize> {
        let enterprise = schema::ENTERPRISE_URN;
        let badge = "urn:example:params:scim:schemas:extension:badge:2.0:User";
        let users = [
            user(
                1,
                json!({"userName": "bob", "nickName": "B", "title": "", "active": false,
                           badge: {"number": 10, "weight": 1.5, "issued": "2026-01-31T13:00:00+02:00"}}),
            ),
            user(
                2,
                json!({"userName": "Alice", "nickName": "a", "name": {"familyName": "Z"},
                           badge: {"number": 9, "weight": 2, "issued": "2026-01-31T12:00:00Z"},
                           "emails": [{"value": "z"}, {"value": "a", "primary": true}]}),
            ),
            user(
                3,
                json!({"userName": "carl", "title": "Boss", "emails": [{"value": "M"}, {"value": "a"}],
                           enterprise: {"department": "x"}}),
            ),
        ];
        let sort = Sort::parse(by, order, ResourceKind::User).unwrap();
        let mut places: Vec<_> = users.iter().map(|user| sort.place(user)).zip(1..).collect();
        places.sort();
        places.into_iter().map(|(_, n)| n).collect()
    }

    #[test]
    fn resources_stand_by_their_values_and_who_has_none_stands_last_or_in_descending_order_first() {
        for (by, order, expected) in [
            ("userName", None, [2, 1, 3]),
            ("USERNAME", Some("Descending"), [3, 1, 2]),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName", Some("ascending"), [2, 1, 3]),
            ("nickName", None, [2, 1, 3]),
            // Case counts where the schema says so.
            ("externalId", None, [1, 2, 3]),
            ("externalId", Some("descending"), [3, 2, 1]),
            ("title", None, [3, 1, 2]),
            ("title", Some("descending"), [1, 2, 3]),
            ("name.familyName", None, [2, 1, 3]),
            ("emails", None, [2, 3, 1]),
            ("emails.value", Some("descending"), [1, 3, 2]),
            ("active", None, [1, 2, 3]),
            ("meta.created", Some("descending"), [3, 2, 1]),
            ("id", None, [1, 2, 3]),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", None, [3, 1, 2]),
            ("urn:example:params:scim:schemas:extension:badge:2.0:User:number", None, [2, 1, 3]),
            ("urn:example:params:scim:schemas:extension:badge:2.0:User:weight", None, [1, 2, 3]),
            ("urn:example:params:scim:schemas:extension:badge:2.0:User:issued", None, [1, 2, 3]),
        ] {
            assert_eq!(sorted(by, order), expected, "{by} {order:?}");
        }
    }

    #[test]
    fn of_a_long_text_only_the_beginning_is_kept_and_compared() {
        let place = |by, end: &str| {
            let long = format!("{}{end}", "\u{e9}".repeat(255));
            Sort::parse(by, None, ResourceKind::User).unwrap().place(&user(1, json!({"nickName": long})))
        };
        // Folded or not.
        for by in ["nickName", "externalId"] {
            assert!(place(by, "a") < place(by, "b"), "{by}");
            assert_eq!(place(by, "ab"), place(by, "aa"), "{by}");
            let Place::Up(Key::Text(kept)) = place(by, &"x".repeat(10_000)) else { panic!("a text") };
            assert!(kept.capacity() <= 1024, "{by}");
        }
    }

    #[test]
    fn what_nothing_can_be_sorted_by_is_refused() {
        for (by, order, kind, expected) in [
            ("shoeSize", None, ResourceKind::User, "an attribute of User"),
            ("name", None, ResourceKind::User, "one of its sub-attributes"),
            ("groups", None, ResourceKind::User, "can be sorted by"),
            ("meta.location", None, ResourceKind::User, "can be sorted by"),
            ("members", None, ResourceKind::Group, "can be sorted by"),
            ("members.value", None, ResourceKind::Group, "can be sorted by"),
            ("userName", None, ResourceKind::Group, "an attribute of Group"),
            ("x509Certificates", None, ResourceKind::User, "can be sorted by"),
            ("x509Certificates.value", None, ResourceKind::User, "can be sorted by"),
            ("userName", Some("up"), ResourceKind::User, "ascending or descending"),
            ("urn:ietf:params:scim:schemas:core:2.0:User", None, ResourceKind::User, "an attribute of User"),
        ] {
            let error = Sort::parse(by, order, kind).unwrap_err();
            assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidValue)));
            assert!(error.detail.contains(expected), "{by}: {}", error.detail);
        }
    }
}
