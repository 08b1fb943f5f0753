//! Whatever is sent: no panic, and no input that costs more than its length. Some thousand cases by default, in seconds;
//! with `FULL=1` ten minutes of them for each property. What fails is told with its seed, and `FUZZ_SEED=…` repeats it.

mod filter;
mod oracle;
mod patch;

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value};

const FULL: Duration = Duration::from_mins(10);

/// Tries a property on many values of a strategy.
pub(crate) fn fuzz<S>(cases: u32, strategy: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S: Strategy,
    S::Value: Debug,
{
    let given = std::env::var("FUZZ_SEED").ok().map(|seed| seed.parse::<u64>().expect("FUZZ_SEED is a number"));
    let full = given.is_none() && std::env::var("FULL").is_ok_and(|full| full == "1");
    let start = Instant::now();
    let mut seed = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    loop {
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        if let Err(error) = runner.run(strategy, &property) {
            panic!("FUZZ_SEED={seed} repeats it: {error}");
        }
        if !full || start.elapsed() > FULL {
            return;
        }
        seed = seed.wrapping_add(1);
    }
}

/// Fails if this takes longer than any input may. Time on the processor, where the system tells it: another's work beside
/// ours is no fault of the input.
pub(crate) fn bounded<T>(work: impl FnOnce() -> T) -> Result<T, TestCaseError> {
    let (start, began) = (on_processor(), Instant::now());
    let done = work();
    let took = match (start, on_processor()) {
        (Some(start), Some(end)) => end.saturating_sub(start),
        _ => began.elapsed(),
    };
    // Unoptimised. The longest inputs take some milliseconds; what is quadratic in them takes seconds.
    prop_assert!(took < Duration::from_millis(500), "it took {took:?}");
    Ok(done)
}

fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Text in which the languages' own words are likely.
pub(crate) fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(
        &[
            "userName",
            "active",
            "emails",
            "type",
            "value",
            "primary",
            "name",
            "familyName",
            "members",
            "meta",
            "created",
            "externalId",
            "id",
            "displayName",
            "roles",
            "manager",
            "$ref",
            "password",
            "groups",
            "schemas",
            "title",
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            "urn:a:b",
            ":",
            ".",
            "[",
            "]",
            "(",
            ")",
            "\"",
            "\\",
            "\"work\"",
            "\"\\u00e9\"",
            "\"2026-01-31T12:00:00Z\"",
            "eq",
            "ne",
            "co",
            "sw",
            "ew",
            "pr",
            "gt",
            "le",
            "and",
            "or",
            "not",
            "AND",
            "Or",
            "true",
            "False",
            "null",
            "7",
            "-1e9",
            " ",
            " ",
            " ",
            "\t",
            "\n",
            "\u{a0}",
            "é",
            "🙂",
            "\0",
            ",",
            "-",
        ][..],
    );
    let word = prop_oneof![8 => words.prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec((word, any::<bool>()), 0..40)
        .prop_map(|words| words.into_iter().map(|(word, apart)| if apart { word + " " } else { word }).collect())
}

/// A name that an attribute or a message's member may have.
pub(crate) fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(
        &[
            "userName",
            "USERNAME",
            "externalId",
            "active",
            "name",
            "name.familyName",
            "emails",
            "emails.value",
            "roles",
            "groups",
            "members",
            "displayName",
            "title",
            "meta",
            "schemas",
            "id",
            "password",
            "x509Certificates",
            "addresses",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            "urn:a:b",
            "urn:a:b:c",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            "op",
            "path",
            "value",
            "type",
            "primary",
            "Operations",
            "method",
            "bulkId",
            "data",
            "filter",
            "count",
            "cursor",
            "sortBy",
            "startIndex",
            "$ref",
        ][..],
    );
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

/// JSON of any shape, with the values that senders really give.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(
        &[
            "",
            "a",
            "False",
            "true",
            "work",
            "add",
            "Replace",
            "remove",
            "alice",
            "bulkId:a",
            "POST",
            "/Users",
            "7",
            "00000000-0000-0000-0000-000000000001",
            "2026-01-31T12:00:00Z",
        ][..],
    );
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        4 => text.prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from), object(inner),]
    })
}

/// An object of likely names.
pub(crate) fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((name(), value), 0..6).prop_map(|members| Value::Object(Map::from_iter(members)))
}

/// The operations of a PATCH: likely ones, and anything.
pub(crate) fn operations() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(&["add", "Replace", "remove", "Remove", "move"][..]).prop_map(Value::from);
    let path = prop_oneof![name(), soup(), (name(), soup(), name()).prop_map(|(a, f, b)| format!("{a}[{f}].{b}"))];
    let one = (op, prop::option::of(path), prop::option::of(json())).prop_map(|(op, path, value)| {
        let members = [("op", Some(op)), ("path", path.map(Value::from)), ("value", value)];
        Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    });
    prop::collection::vec(prop_oneof![9 => one, 1 => json()], 0..6).prop_map(Value::from)
}
