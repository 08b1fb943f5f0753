//! The paths of PATCH (RFC 7644 §3.5.2, figure 7): `attr`, `attr.sub`, `attr[filter]`, `attr[filter].sub`, each with a URN
//! before it where wanted.

use super::{ForeignPath, Target};
use crate::identity::{
    AttrPath, Limits, Mode, ResourceKind, ScimError, ScimType,
    filter::Parser,
    path::{Head, quoted},
    schema,
};

/// What a path of PATCH names.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A whole schema, by its canonical URN.
    Schema(&'static str),
    /// Something of a known schema.
    Known(Target),
    /// Something of an extension that we don't know.
    Foreign(ForeignPath),
    /// No schema has it.
    Unknown,
}

/// Reads a path. Filters in it are checked against the schema.
pub(super) fn place(limits: Limits, text: &str, kind: ResourceKind, mode: Mode) -> Result<Place, ScimError> {
    let mut parser = Parser::new(limits, text, kind, mode, ScimType::InvalidPath)?;
    let word = parser.word();
    let path = match Head::parse(word) {
        Some(Head::Schema(urn)) => {
            parser.end("the end of the path")?;
            return Ok(Place::Schema(urn));
        }
        Some(Head::Attribute(path)) => path,
        None => return Err(not_a_path(text)),
    };
    let known = path.schema.as_deref().is_none_or(|urn| is_known(kind, urn));
    let Some(found) = schema::resolve(kind, &path) else {
        return Ok(match path {
            AttrPath { schema: Some(urn), name, sub: None } if !known => {
                parser.end("the end of the path: no filters in unknown extensions")?;
                Place::Foreign(ForeignPath { urn, name })
            }
            _ => Place::Unknown,
        });
    };
    let mut target = Target {
        extension: found.extension.map(|schema| schema.id),
        attribute: found.attribute,
        filter: None,
        sub: found.sub,
    };
    if target.sub.is_none() && parser.take('[') {
        if !target.attribute.multi {
            return Err(parser.expected("no filter: only an attribute with several values takes one"));
        }
        target.filter = Some(parser.element(target.attribute)?);
        if parser.take('.') {
            let name = parser.word();
            let unknown = || parser.expected(&format!("a sub-attribute of {}", target.attribute.name));
            target.sub = Some(target.attribute.sub(name).ok_or_else(unknown)?);
        }
    }
    parser.end("the end of the path")?;
    Ok(Place::Known(target))
}

fn is_known(kind: ResourceKind, urn: &str) -> bool {
    schema::core(kind).id.eq_ignore_ascii_case(urn) || schema::schemas(true).any(|s| s.id.eq_ignore_ascii_case(urn))
}

pub(super) fn not_a_path(text: &str) -> ScimError {
    ScimError::bad(
        ScimType::InvalidPath,
        format!("expected a path as attribute, attribute.sub or attribute[filter].sub, not {}", quoted(text)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Target {
        match place(Limits::default(), text, ResourceKind::User, Mode::Compat) {
            Ok(Place::Known(target)) => target,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_shapes_of_paths_are_read() {
        assert_eq!(known("displayname").attribute.name, "displayName");
        assert_eq!(known("name.FamilyName").sub.unwrap().name, "familyName");
        let email = known(r#"emails[type eq "other"].Value"#);
        assert!(email.filter.is_some());
        assert_eq!(email.sub.unwrap().name, "value");
        assert!(known(r#"addresses[type eq "work"]"#).sub.is_none());
        let manager = known("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value");
        assert_eq!((manager.extension, manager.sub.unwrap().name), (Some(schema::ENTERPRISE_URN), "value"));
        assert!(known(r#"roles[primary eq "True"].value"#).filter.is_some());
        assert_eq!(known("urn:ietf:params:scim:schemas:core:2.0:User:title").extension, None);
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        for text in [
            "",
            ".",
            "emails[",
            "emails[]",
            "emails[type eq",
            r#"emails[type eq "work""#,
            r#"emails[type eq "w"].nope"#,
            r#"emails[type eq "w"]x"#,
            r#"title[value eq "x"]"#,
            "emails[nope eq 1]",
            "title b",
        ] {
            let error = place(Limits::default(), text, ResourceKind::User, Mode::Compat).unwrap_err();
            assert_eq!(error.scim_type, Some(ScimType::InvalidPath), "{text}");
        }
    }

    #[test]
    fn unknown_extensions_are_told_from_unknown_attributes() {
        let place = |text| place(Limits::default(), text, ResourceKind::User, Mode::Compat).unwrap();
        assert!(matches!(place("urn:acme:2.0:User:badge"), Place::Foreign(path) if path.urn == "urn:acme:2.0:User"));
        assert!(matches!(place("badge"), Place::Unknown));
        assert!(matches!(place("urn:ietf:params:scim:schemas:core:2.0:User:badge"), Place::Unknown));
    }
}
