//! How much a request may hold: what may be set, and in which range. Below it real identity providers could not work;
//! above it one request could take the memory, the stack or the store's writer from all others.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Scim};
use crate::identity::Limits;

pub(super) const MEBIBYTE: usize = 1024 * 1024;

/// Where nothing is said of it.
const PAGE: usize = 100;

/// How large a page of a list is (RFC 9865 §4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PageSizes {
    /// If no `count` is asked for. Default: 100, or the largest if that is less.
    pub default_page_size: Option<usize>,
    /// If a larger one is asked for.
    pub max_page_size: usize,
}

impl Default for PageSizes {
    fn default() -> Self {
        Self { default_page_size: None, max_page_size: 1_000 }
    }
}

impl PageSizes {
    /// If no `count` is asked for.
    pub fn default_size(&self) -> usize {
        self.default_page_size.unwrap_or_else(|| self.max_page_size.min(PAGE))
    }
}

/// How much a filter may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterLimits {
    /// Its length, bytes; also of a path in a PATCH, which may hold a filter.
    pub max_length: usize,
    /// Its nesting of parentheses, brackets and `not`.
    pub max_depth: usize,
}

impl Default for FilterLimits {
    fn default() -> Self {
        let Limits { filter_length, filter_depth, .. } = Limits::default();
        Self { max_length: filter_length, max_depth: filter_depth }
    }
}

/// How much a PATCH may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PatchLimits {
    /// Most operations.
    pub max_operations: usize,
}

impl Default for PatchLimits {
    fn default() -> Self {
        Self { max_operations: Limits::default().patch_operations }
    }
}

/// How much one Bulk request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Bulk {
    /// Most operations.
    pub max_operations: usize,
    /// Largest body, bytes.
    pub max_payload_size: usize,
}

impl Default for Bulk {
    fn default() -> Self {
        Self { max_operations: 1_000, max_payload_size: MEBIBYTE }
    }
}

/// The ranges.
pub(super) fn check(scim: &Scim) -> Result<(), ConfigError> {
    let bytes = 1024..=64 * MEBIBYTE;
    within("scim.maxBodySize", scim.max_body_size, bytes.clone())?;
    within("scim.bulk.maxPayloadSize", scim.bulk.max_payload_size, bytes)?;
    within("scim.bulk.maxOperations", scim.bulk.max_operations, 1..=10_000)?;
    // 50 changes of members in one PATCH are the least that IPSIE asks for.
    within("scim.patch.maxOperations", scim.patch.max_operations, 50..=10_000)?;
    // A group is one change of the Directory and one transaction, for which all other writes wait.
    within("scim.maxMembers", scim.max_members, 100..=200_000)?;
    // A photo is a data URI of 64 KiB at most.
    within("scim.maxResourceSize", scim.max_resource_size, 64 * 1024..=4 * MEBIBYTE)?;
    // The longest keep a URN and a long name readable; nesting and chains are walked on the stack.
    within("scim.filter.maxLength", scim.filter.max_length, 256..=16 * 1024)?;
    within("scim.filter.maxDepth", scim.filter.max_depth, 4..=64)?;
    within("scim.pagination.maxPageSize", scim.pagination.max_page_size, 10..=10_000)?;
    within("scim.pagination.defaultPageSize", scim.pagination.default_size(), 1..=scim.pagination.max_page_size)
}

fn within(key: &str, value: usize, range: RangeInclusive<usize>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(ConfigError::invalid(key, format!("expected a number between {least} and {most}, found {value}")))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn load(yaml: &str) -> Result<Config, String> {
        super::super::load::from_parts("c.yaml", yaml, &std::collections::BTreeMap::new())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_limit_has_a_range_that_its_error_names() {
        for (section, key, least, most) in [
            ("", "maxBodySize", 1024, 67_108_864),
            ("", "maxMembers", 100, 200_000),
            ("", "maxResourceSize", 65_536, 4_194_304),
            ("bulk", "maxPayloadSize", 1024, 67_108_864),
            ("bulk", "maxOperations", 1, 10_000),
            ("patch", "maxOperations", 50, 10_000),
            ("filter", "maxLength", 256, 16_384),
            ("filter", "maxDepth", 4, 64),
            ("pagination", "maxPageSize", 10, 10_000),
            ("pagination", "defaultPageSize", 1, 1_000),
        ] {
            let set = |value: i64| match section {
                "" => load(&format!("scim: {{{key}: {value}}}")),
                _ => load(&format!("scim: {{{section}: {{{key}: {value}}}}}")),
            };
            let dotted = if section.is_empty() { format!("scim.{key}") } else { format!("scim.{section}.{key}") };
            for good in [least, most] {
                set(good).unwrap();
            }
            for bad in [least - 1, most + 1] {
                let error = set(bad).unwrap_err();
                let expected =
                    format!("`{dotted}` is wrong: expected a number between {least} and {most}, found {bad}");
                assert!(error.contains(&expected), "{error}");
            }
            assert!(set(-1).is_err(), "{dotted}");
        }
    }

    #[test]
    fn a_small_largest_page_is_also_the_default_one() {
        assert_eq!(load("").unwrap().scim.pagination.default_size(), 100);
        assert_eq!(load("scim: {pagination: {maxPageSize: 20}}").unwrap().scim.pagination.default_size(), 20);
        let larger = load("scim: {pagination: {maxPageSize: 20, defaultPageSize: 21}}").unwrap_err();
        assert!(larger.contains("between 1 and 20"), "{larger}");
    }
}
