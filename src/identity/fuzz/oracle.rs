//! Filters beside another parser, `scim_v2`: what both read means the same to both, and what one of them refuses is a
//! difference that is listed here.

use proptest::prelude::*;
use scim_v2::filter as theirs;
use serde_json::Value;

use super::{fuzz, soup};
use crate::identity::{AttrPath, CompareOp, Filter, Mode, ResourceKind, schema::USER_URN};

/// Text, whether we read it (in strict mode), whether they do.
const DIFFERENCES: [(&str, bool, bool, &str); 11] = [
    ("not(title pr)", true, false, "the grammar's own form of not, without a space"),
    (r#"emails[type eq "work"].value eq "x""#, true, false, "Entra's, beyond the grammar"),
    (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref eq "x""#, true, false, "$ref"),
    ("( title pr )", true, true, "spaces in parentheses: no difference, so that the table is known to be looked at"),
    ("shoeSize eq 7", false, true, "they know no schema"),
    ("userName eq 7", false, true, "nor types"),
    ("active gt true", false, true, "nor what can be ordered"),
    (r#"meta.created gt "yesterday""#, false, true, "nor times"),
    ("groups pr", false, true, "nor what is not held with the resource"),
    ("title\npr", false, true, "a line break is a space to them"),
    ("title gt null", false, true, "null has no order"),
];

fn ours(text: &str) -> Option<Filter> {
    Filter::parse(text, ResourceKind::User, Mode::Strict).ok()
}

#[test]
fn what_differs_is_known() {
    for (text, we, they, why) in DIFFERENCES {
        assert_eq!((ours(text).is_some(), text.parse::<theirs::Filter>().is_ok()), (we, they), "{text}: {why}");
    }
    let nested = |depth| format!("{}title pr{}", "not (".repeat(depth), ")".repeat(depth));
    assert!(ours(&nested(33)).is_none() && nested(33).parse::<theirs::Filter>().is_ok(), "ours is the lower cap");
}

#[test]
fn what_both_read_means_the_same_to_both() {
    fuzz(3_000, &filter(), |text| {
        let their = text.parse::<theirs::Filter>();
        let our = Filter::parse(&text, ResourceKind::User, Mode::Strict);
        prop_assert!(our.is_ok(), "we refuse {text}: {our:?}");
        prop_assert!(their.is_ok(), "they refuse {text}: {:?}", their.err());
        if let (Ok(our), Ok(their)) = (our, their) {
            prop_assert_eq!(print(&our), print_theirs(&their), "{}", text);
        }
        Ok(())
    });
    fuzz(2_000, &soup(), |text| {
        if let (Some(our), Ok(their)) = (ours(&text), text.parse::<theirs::Filter>()) {
            prop_assert_eq!(print(&our), print_theirs(&their), "{}", text);
        }
        Ok(())
    });
}

/// Filters of the grammar over our schema, with their values' types, in any case.
fn filter() -> impl Strategy<Value = String> {
    let space = prop::sample::select(&[" ", "  ", "\t"][..]);
    let texts = &[
        "userName",
        "USERNAME",
        "name.familyName",
        "emails",
        "emails.value",
        "emails.type",
        "externalId",
        "title",
        "urn:ietf:params:scim:schemas:core:2.0:User:nickName",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
    ][..];
    let ops = prop::sample::select(&["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ", "Sw"][..]);
    let string = any::<String>().prop_map(|text| Value::from(text).to_string());
    let of = |names: &'static [&'static str]| {
        let name = prop::sample::select(names);
        (name, space.clone(), ops.clone(), string.clone()).prop_map(|(n, s, op, value)| format!("{n}{s}{op}{s}{value}"))
    };
    let present = (prop::sample::select(texts), space.clone()).prop_map(|(name, s)| format!("{name}{s}pr"));
    let truth =
        (any::<bool>(), any::<bool>()).prop_map(|(eq, is)| format!("active {} {is}", if eq { "eq" } else { "Ne" }));
    let either = prop::sample::select(&["title", "emails", "emails.value"][..]);
    let null = (either, any::<bool>()).prop_map(|(name, eq)| format!("{name} {} null", if eq { "eq" } else { "ne" }));
    let element = tree(prop_oneof![of(&["type", "value", "Display"]), Just("primary eq true".to_owned())]);
    let element = element.prop_map(|inner| format!("emails[{inner}]"));
    tree(prop_oneof![3 => of(texts), 1 => present, 1 => truth, 1 => null, 1 => element])
}

fn tree(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(4, 12, 3, |inner| {
        let word = prop::sample::select(&["and", "or", "And", "OR"][..]);
        prop_oneof![
            (inner.clone(), word, inner.clone()).prop_map(|(a, word, b)| format!("{a} {word} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

/// A tree as text in which only its meaning shows: chains are flat, names are in lower case.
fn print(filter: &Filter) -> String {
    fn chain(filter: &Filter, and: bool, parts: &mut Vec<String>) {
        match filter {
            Filter::And(left, right) if and => [left, right].into_iter().for_each(|one| chain(one, and, parts)),
            Filter::Or(left, right) if !and => [left, right].into_iter().for_each(|one| chain(one, and, parts)),
            other => parts.push(print(other)),
        }
    }
    let mut parts = Vec::new();
    match filter {
        Filter::And(..) => chain(filter, true, &mut parts),
        Filter::Or(..) => chain(filter, false, &mut parts),
        Filter::Not(inner) => return format!("!{}", print(inner)),
        Filter::Present(path) => return format!("{} pr", print_path(path)),
        Filter::Compare(path, op, value) => return format!("{} {} {value}", print_path(path), print_op(*op)),
        Filter::Element(path, inner) => return format!("{}[{}]", print_path(path), print(inner)),
    }
    format!("({})", parts.join(if matches!(filter, Filter::And(..)) { " & " } else { " | " }))
}

fn print_path(path: &AttrPath) -> String {
    print_parts(path.schema.as_deref(), &path.name, path.sub.as_deref())
}

fn print_parts(schema: Option<&str>, name: &str, sub: Option<&str>) -> String {
    let schema = schema.filter(|urn| !urn.eq_ignore_ascii_case(USER_URN)).map(|urn| format!("{urn}:"));
    let sub = sub.map(|sub| format!(".{sub}"));
    format!("{}{name}{}", schema.unwrap_or_default(), sub.unwrap_or_default()).to_lowercase()
}

fn print_op(op: CompareOp) -> String {
    format!("{op:?}").to_lowercase()
}

fn print_theirs(filter: &theirs::Filter) -> String {
    match filter {
        theirs::Filter::Attr(one) => print_their_test(one, true),
        theirs::Filter::ValuePath(path) => {
            format!("{}[{}]", print_their_path(&path.attr), print_their_element(&path.filter))
        }
        theirs::Filter::Not(inner) => format!("!{}", print_theirs(inner)),
        theirs::Filter::And(all) => flat(
            all.as_slice(),
            " & ",
            &|one| match one {
                theirs::Filter::And(inner) => Some(inner.as_slice()),
                _ => None,
            },
            &print_theirs,
        ),
        theirs::Filter::Or(all) => flat(
            all.as_slice(),
            " | ",
            &|one| match one {
                theirs::Filter::Or(inner) => Some(inner.as_slice()),
                _ => None,
            },
            &print_theirs,
        ),
    }
}

fn print_their_element(filter: &theirs::ValFilter) -> String {
    match filter {
        theirs::ValFilter::Attr(one) => print_their_test(one, false),
        theirs::ValFilter::Not(inner) => format!("!{}", print_their_element(inner)),
        theirs::ValFilter::And(all) => flat(
            all.as_slice(),
            " & ",
            &|one| match one {
                theirs::ValFilter::And(inner) => Some(inner.as_slice()),
                _ => None,
            },
            &print_their_element,
        ),
        theirs::ValFilter::Or(all) => flat(
            all.as_slice(),
            " | ",
            &|one| match one {
                theirs::ValFilter::Or(inner) => Some(inner.as_slice()),
                _ => None,
            },
            &print_their_element,
        ),
    }
}

/// A chain without the parentheses that stand in it.
fn flat<'a, T>(
    all: &'a [T],
    between: &str,
    inner: &dyn Fn(&'a T) -> Option<&'a [T]>,
    print: &dyn Fn(&'a T) -> String,
) -> String {
    fn walk<'a, T>(
        all: &'a [T],
        inner: &dyn Fn(&'a T) -> Option<&'a [T]>,
        print: &dyn Fn(&'a T) -> String,
        parts: &mut Vec<String>,
    ) {
        for one in all {
            match inner(one) {
                Some(all) => walk(all, inner, print, parts),
                None => parts.push(print(one)),
            }
        }
    }
    let mut parts = Vec::new();
    walk(all, inner, print, &mut parts);
    format!("({})", parts.join(between))
}

/// RFC 7643 §2.4, §2.5: a complex attribute is compared by its `value`, and null is no value.
fn print_their_test(test: &theirs::AttrExp, top: bool) -> String {
    match test {
        theirs::AttrExp::Present(path) => format!("{} pr", print_their_path(path)),
        theirs::AttrExp::Comparison(path, op, theirs::CompValue::Null) => {
            let not = if *op == theirs::CompareOp::Eq { "!" } else { "" };
            format!("{not}{} pr", print_their_path(path))
        }
        theirs::AttrExp::Comparison(path, op, value) => {
            let complex = ["emails", "roles", "manager"].iter().any(|name| path.name.eq_ignore_ascii_case(name));
            let value_of = if top && complex && path.sub_attr.is_none() { ".value" } else { "" };
            let value: Value = serde_json::from_str(&value.to_string()).unwrap();
            format!("{}{value_of} {} {value}", print_their_path(path), format!("{op:?}").to_lowercase())
        }
    }
}

fn print_their_path(path: &theirs::AttrPath) -> String {
    print_parts(path.uri.as_deref(), &path.name, path.sub_attr.as_deref())
}
