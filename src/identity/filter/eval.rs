//! Whether a resource, or one element of a list, matches a filter.

use chrono::{DateTime, Utc};
use serde_json::{Map, Number, Value};

use super::{AttrPath, CompareOp, Filter};
use crate::identity::{
    Resource, ResourceId, ResourceKind, fold,
    schema::{self, Attribute, Type},
};

/// What a filter is asked of.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Resource(&'a Resource, &'a [ResourceId]),
    Element(&'static Attribute, &'a Value),
    Member(ResourceId),
}

/// One value of an attribute.
enum Scalar<'a> {
    Text(&'a str),
    Bool(bool),
    Number(&'a Number),
    Time(DateTime<Utc>),
    /// A complex value that has sub-attributes.
    Complex,
}

impl Filter {
    /// Whether a resource matches. `members` are a group's direct ones (needed only if `needs_members`).
    pub fn matches(&self, resource: &Resource, members: &[ResourceId]) -> bool {
        self.holds(Subject::Resource(resource, members))
    }

    /// Whether one element of a complex, multi-valued attribute matches a filter in brackets.
    pub(in crate::identity) fn matches_element(&self, of: &'static Attribute, element: &Value) -> bool {
        self.holds(Subject::Element(of, element))
    }

    fn holds(&self, subject: Subject<'_>) -> bool {
        match self {
            Self::And(left, right) => left.holds(subject) && right.holds(subject),
            Self::Or(left, right) => left.holds(subject) || right.holds(subject),
            Self::Not(inner) => !inner.holds(subject),
            Self::Present(path) => subject.any(path, &mut |value| !matches!(value, Scalar::Text(""))),
            Self::Compare(path, op, value) => compare(subject, path, *op, value),
            Self::Element(path, inner) => element(subject, path, inner),
        }
    }
}

fn element(subject: Subject<'_>, path: &AttrPath, inner: &Filter) -> bool {
    let Subject::Resource(resource, members) = subject else { return false };
    if path.name == "members" {
        // The common question, whether someone is in it, without a text for each member.
        if let Filter::Compare(_, CompareOp::Eq, Value::String(id)) = inner {
            return is_member(id, members);
        }
        return members.iter().any(|member| inner.holds(Subject::Member(*member)));
    }
    let Some(found) = schema::resolve(resource.kind, path) else { return false };
    match holder(resource, path).and_then(|holder| holder.get(found.attribute.name)) {
        Some(Value::Array(elements)) => elements.iter().any(|one| inner.matches_element(found.attribute, one)),
        Some(one) => inner.matches_element(found.attribute, one),
        None => false,
    }
}

fn compare(subject: Subject<'_>, path: &AttrPath, op: CompareOp, wanted: &Value) -> bool {
    if let (Subject::Resource(_, members), "members", CompareOp::Eq, Value::String(id)) =
        (subject, path.name.as_str(), op, wanted)
    {
        return is_member(id, members);
    }
    let leaf = subject.leaf(path);
    let exact = leaf.is_some_and(|leaf| leaf.case_exact);
    let is_time = leaf.is_some_and(|leaf| matches!(leaf.ty, Type::DateTime));
    let mut absent = true;
    let found = subject.any(path, &mut |value| {
        absent = false;
        let value = match value {
            // Two spellings of one moment are equal.
            Scalar::Text(text) if is_time => {
                DateTime::parse_from_rfc3339(text).map_or(value, |at| Scalar::Time(at.to_utc()))
            }
            value => value,
        };
        holds(&value, op, wanted, exact)
    });
    // What has no value differs from any value.
    found || (absent && op == CompareOp::Ne)
}

fn is_member(id: &str, members: &[ResourceId]) -> bool {
    id.parse().is_ok_and(|id: ResourceId| members.contains(&id))
}

impl Subject<'_> {
    fn leaf(self, path: &AttrPath) -> Option<&'static Attribute> {
        match self {
            Self::Resource(resource, _) => schema::resolve(resource.kind, path).map(|found| found.leaf()),
            Self::Element(of, _) => of.sub(&path.name),
            // `value` is all that a filter sees of a member.
            Self::Member(_) => schema::core(ResourceKind::Group).attribute("members")?.sub("value"),
        }
    }

    /// Whether the test holds for any value that a path has.
    fn any(self, path: &AttrPath, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        let (resource, members) = match self {
            Self::Resource(resource, members) => (resource, members),
            Self::Element(_, element) => {
                return element.get(&path.name).is_some_and(|value| visit(value, path.sub.as_deref(), test));
            }
            Self::Member(id) => return test(Scalar::Text(&id.to_string())),
        };
        if path.schema.is_none() {
            match (path.name.as_str(), path.sub.as_deref()) {
                ("id", _) => return test(Scalar::Text(&resource.id.to_string())),
                ("externalId", _) => return resource.external_id.as_deref().is_some_and(|id| test(Scalar::Text(id))),
                // Absent means true, so that is what a filter sees.
                ("active", _) => return test(Scalar::Bool(resource.active())),
                ("schemas", _) => return resource.schemas().any(|urn| test(Scalar::Text(urn))),
                ("members", _) => return members.iter().any(|id| test(Scalar::Text(&id.to_string()))),
                ("meta", None) => return test(Scalar::Complex),
                ("meta", Some("resourceType")) => return test(Scalar::Text(resource.kind.as_str())),
                ("meta", Some("created")) => return test(Scalar::Time(resource.created)),
                ("meta", Some("lastModified")) => return test(Scalar::Time(resource.last_modified)),
                ("meta", Some("version")) => return test(Scalar::Text(&resource.etag())),
                _ => {}
            }
        }
        holder(resource, path)
            .and_then(|holder| holder.get(&path.name))
            .is_some_and(|value| visit(value, path.sub.as_deref(), test))
    }
}

fn holder<'a>(resource: &'a Resource, path: &AttrPath) -> Option<&'a Map<String, Value>> {
    match &path.schema {
        None => Some(&resource.attributes),
        Some(urn) => resource.attributes.get(urn).and_then(Value::as_object),
    }
}

/// Lists have at most the depth that their schema has, so this recursion ends after two steps.
fn visit(value: &Value, sub: Option<&str>, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    match (value, sub) {
        (Value::Array(elements), _) => elements.iter().any(|element| visit(element, sub, test)),
        (Value::Object(object), Some(sub)) => object.get(sub).is_some_and(|value| visit(value, None, test)),
        (Value::Object(object), None) => !object.is_empty() && test(Scalar::Complex),
        (Value::String(string), None) => test(Scalar::Text(string)),
        (Value::Bool(value), None) => test(Scalar::Bool(*value)),
        (Value::Number(number), None) => test(Scalar::Number(number)),
        _ => false,
    }
}

fn holds(value: &Scalar<'_>, op: CompareOp, wanted: &Value, exact: bool) -> bool {
    match (value, wanted) {
        (Scalar::Bool(value), Value::Bool(wanted)) => match op {
            CompareOp::Eq => value == wanted,
            CompareOp::Ne => value != wanted,
            _ => false,
        },
        (Scalar::Number(number), Value::Number(wanted)) => {
            by_size(number, wanted).is_some_and(|order| ordered(op, order))
        }
        (Scalar::Time(time), Value::String(wanted)) => {
            DateTime::parse_from_rfc3339(wanted).is_ok_and(|wanted| ordered(op, time.cmp(&wanted.to_utc())))
        }
        (Scalar::Text(text), Value::String(wanted)) if exact => text_holds(text, op, wanted),
        (Scalar::Text(text), Value::String(wanted)) if op == CompareOp::Eq && text.is_ascii() && wanted.is_ascii() => {
            text.eq_ignore_ascii_case(wanted)
        }
        (Scalar::Text(text), Value::String(wanted)) => text_holds(&fold(text), op, &fold(wanted)),
        _ => op == CompareOp::Ne,
    }
}

fn text_holds(text: &str, op: CompareOp, wanted: &str) -> bool {
    match op {
        CompareOp::Co => text.contains(wanted),
        CompareOp::Sw => text.starts_with(wanted),
        CompareOp::Ew => text.ends_with(wanted),
        _ => ordered(op, text.cmp(wanted)),
    }
}

/// Whole numbers as such, since a float does not hold all of them.
fn by_size(left: &Number, right: &Number) -> Option<std::cmp::Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn ordered(op: CompareOp, order: std::cmp::Ordering) -> bool {
    match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::identity::{Mode, ResourceKind};

    fn resource(kind: ResourceKind, attributes: Value) -> Resource {
        let Value::Object(attributes) = attributes else { panic!("an object") };
        let at = Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap();
        Resource {
            id: ResourceId(Uuid::from_u128(1)),
            kind,
            idp: "okta".into(),
            external_id: Some("Ext-7".into()),
            attributes,
            version: 3,
            created: at,
            last_modified: at,
        }
    }

    fn alice() -> Resource {
        resource(
            ResourceKind::User,
            json!({
                "userName": "Alice@Example.com",
                "active": false,
                "title": "",
                "name": {"familyName": "Ärmel"},
                "emails": [{"type": "work", "value": "alice@example.com"}, {"type": "home", "value": "al@home.org", "primary": true}],
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D", "manager": {"value": "M1"}},
            }),
        )
    }

    #[test]
    fn a_filter_finds_whom_it_describes_and_nobody_else() {
        let alice = alice();
        for (text, expected) in [
            (r#"userName eq "ALICE@example.COM""#, true),
            (r#"userName eq "alice@example.org""#, false),
            (r#"userName ne "bob""#, true),
            (r#"userName sw "aLi""#, true),
            (r#"userName ew ".com""#, true),
            (r#"userName co "bob""#, false),
            (r#"name.familyName eq "ÄRMEL""#, true),
            (r#"externalId eq "Ext-7""#, true),
            (r#"externalId eq "ext-7""#, false),
            ("active eq false", true),
            ("active eq true", false),
            ("title pr", false),
            ("nickName pr", false),
            ("name pr and emails pr", true),
            ("nickName eq null", true),
            (r#"nickName ne "x""#, true),
            (r#"emails.type eq "work" and emails.value eq "al@home.org""#, true),
            (r#"emails[type eq "work" and value eq "al@home.org"]"#, false),
            (r#"emails[type eq "home"].value eq "AL@home.org""#, true),
            ("emails[primary eq true]", true),
            (r#"emails[not (type eq "work" or type eq "home")]"#, false),
            (r#"emails eq "al@home.org""#, true),
            (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "r&d""#, true),
            (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "M1""#, true),
            (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "m1""#, false),
            (r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#, true),
            (r#"meta.created ge "2026-01-31T13:00:00+01:00""#, true),
            (r#"meta.lastModified gt "2026-01-31T12:00:00Z""#, false),
            (r#"meta.resourceType eq "User""#, true),
            (r#"id eq "00000000-0000-0000-0000-000000000001""#, true),
            (r#"userName gt "alice" and userName lt "alicf""#, true),
        ] {
            let filter = Filter::parse(text, ResourceKind::User, Mode::Compat).unwrap();
            assert_eq!(filter.matches(&alice, &[]), expected, "{text}");
        }
    }

    #[test]
    fn groups_are_found_by_their_members() {
        let group = resource(ResourceKind::Group, json!({"displayName": "deployers"}));
        let member = ResourceId(Uuid::from_u128(7));
        for (text, expected) in [
            (format!(r#"members[value eq "{member}"]"#), true),
            (format!(r#"members.value eq "{member}""#), true),
            (format!(r#"members eq "{member}" and displayName eq "Deployers""#), true),
            (format!(r#"members[value eq "{member}" or value eq "x"]"#), true),
            (r#"members[value eq "x"]"#.into(), false),
            ("members pr".into(), true),
        ] {
            let filter = Filter::parse(&text, ResourceKind::Group, Mode::Compat).unwrap();
            assert_eq!(filter.matches(&group, &[ResourceId(Uuid::from_u128(3)), member]), expected, "{text}");
            assert!(!filter.matches(&group, &[]), "{text}");
        }
    }
}
