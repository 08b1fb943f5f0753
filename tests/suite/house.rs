//! The house's own rules, held by looking at it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    ensure,
    world::{Outcome, release_binary},
};

type HouseTest = (&'static str, fn() -> Outcome);

/// Tests that need nothing but the sources.
pub fn tests() -> Vec<HouseTest> {
    vec![
        ("house::arrows_of_dependency_only_go_down", arrows_only_go_down),
        ("house::each_library_is_named_only_in_its_rooms", libraries_in_their_rooms),
        ("house::config_holds_the_crds_that_the_types_give", crds_have_not_drifted),
        ("house::the_table_names_every_failpoint", the_table_names_every_failpoint),
    ]
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into()))
}

fn sources() -> Outcome<Vec<(String, String)>> {
    fn walk(folder: &Path, all: &mut Vec<(String, String)>) -> Outcome {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, all)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push((path.display().to_string(), std::fs::read_to_string(&path)?));
            }
        }
        Ok(())
    }
    let src = root().join("src");
    let mut all = Vec::new();
    walk(&src, &mut all)?;
    let prefix = format!("{}/", src.display());
    Ok(all.into_iter().map(|(path, text)| (path.trim_start_matches(&prefix).to_owned(), text)).collect())
}

/// The room of a file: the first part of its path.
fn room(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn arrows_only_go_down() -> Outcome {
    let lib = std::fs::read_to_string(root().join("src/lib.rs"))?;
    let order: BTreeMap<&str, usize> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in sources()? {
        let Some(own) = order.get(room(&path)) else { continue };
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at + "crate::".len()..];
            // A group `use crate::{a, b::c}` names several rooms.
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => top_level(group),
                None => vec![rest],
            };
            for name in names {
                let name = name.trim().split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
                if order.get(name).is_some_and(|used| used < own) {
                    wrong.push(format!("{path} uses {name}, which stands above it"));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The names of a `{…}` group, without what is nested in them.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn libraries_in_their_rooms() -> Outcome {
    let rules: [(&str, &[&str]); 6] = [
        ("rusqlite::", &["store"]),
        ("postgres::", &["store"]),
        ("kube::", &["api", "cluster", "credential", "revocation", "controller", "server", "policy"]),
        ("axum::", &["scim", "interceptor", "issuer", "server"]),
        // The server calls out once: doctor asks our issuer by its public name, as a verifier would.
        ("reqwest::", &["cli", "server"]),
        ("openidconnect::", &["keys", "issuer"]),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources()? {
        for (library, rooms) in rules {
            let named = text.lines().any(|line| line.trim_start().starts_with("use ") && line.contains(library));
            // Tests may use more.
            if named && !rooms.contains(&room(&path)) && !path.contains("test") {
                wrong.push(format!("{path} names {library}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn crds_have_not_drifted() -> Outcome {
    let binary = release_binary();
    let output = std::process::Command::new(binary).arg("crds").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let committed = std::fs::read(root().join("config/300-crds.yaml"))?;
    ensure!(output.stdout == committed, "config/300-crds.yaml is not what the types give: `make crds` writes it");
    Ok(())
}

/// The table that the tests walk names all, and only what there is.
fn the_table_names_every_failpoint() -> Outcome {
    const CALL: &str = "fail_point!(\"";
    let mut there = BTreeSet::new();
    for (_, text) in sources()? {
        there.extend(
            text.match_indices(CALL)
                .map(|(at, _)| text[at + CALL.len()..].split('"').next().unwrap_or_default().to_owned()),
        );
    }
    let table: BTreeSet<_> = scim_tekton::failpoint::ALL.iter().map(|point| point.name.to_owned()).collect();
    let differ: Vec<_> = there.symmetric_difference(&table).collect();
    ensure!(differ.is_empty(), "in the sources or in src/failpoint.rs, not in both: {differ:?}");
    Ok(())
}
