//! Replays the transcripts in `tests/scim/`: what identity providers really send, one file each, and what they must get.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::app::{App, Recorder};
use crate::{
    config::{IdpScim, PatchAnswer as Configured, ScimMode, UnknownMembers},
    scim::{IdpSettings, PatchAnswer, Settings},
};

/// A file. An unknown key is an error: a slip in `lacks` would else hold for everything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transcript {
    /// As under `idps[].scim` in the configuration.
    #[serde(default)]
    scim: IdpScim,
    steps: Vec<Step>,
}

/// A request and its answer. `{{name}}` stands for what an earlier step kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(rename = "step")]
    name: String,
    /// Method and path, as sent.
    send: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    status: u16,
    /// What the answer says at least: objects may say more, lists may not.
    #[serde(default)]
    has: Option<Value>,
    /// JSON pointers to what the answer does not have.
    #[serde(default)]
    lacks: Vec<String>,
    /// Texts that stand nowhere in the answer.
    #[serde(default)]
    never: Vec<String>,
    /// Names for what later steps need, by JSON pointer.
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

#[tokio::test]
async fn every_transcript_is_answered_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scim");
    let (mut files, mut steps, mut wrong) = (0, 0, String::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let transcript: Transcript = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        files += 1;
        steps += transcript.steps.len();
        if let Err(error) = replay(transcript).await {
            writeln!(wrong, "{name}: {error}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(files >= 7 && steps >= 100, "{files} files with {steps} steps: some are not found");
}

async fn replay(transcript: Transcript) -> Result<(), String> {
    let app =
        App::with(Recorder::default(), Settings { default: settings(&transcript.scim), ..Settings::default() }).await;
    let mut kept = BTreeMap::new();
    for (number, step) in transcript.steps.into_iter().enumerate() {
        let name = step.name.clone();
        play(&app, step, &mut kept).await.map_err(|error| format!("step {}, {name}: {error}", number + 1))?;
    }
    Ok(())
}

async fn play(app: &App, step: Step, kept: &mut BTreeMap<String, String>) -> Result<(), String> {
    let send = filled(&step.send, kept)?;
    let (method, path) = send.split_once(' ').ok_or("expected `METHOD PATH`")?;
    let body = step.body.map(|body| fill(body, kept)).transpose()?;
    let headers: Vec<_> = step.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = app.send(app.request(method, path, body, &headers)).await;
    let said = answer.body.to_string();
    if answer.status != step.status {
        return Err(format!("expected {}, got {}: {said}", step.status, answer.status));
    }
    if let Some(expected) = step.has {
        says(&answer.body, &fill(expected, kept)?, "").map_err(|error| format!("{error}: {said}"))?;
    }
    for pointer in &step.lacks {
        if answer.body.pointer(pointer).is_some() {
            return Err(format!("expected nothing at {pointer}: {said}"));
        }
    }
    for text in &step.never {
        if said.contains(filled(text, kept)?.as_str()) {
            return Err(format!("expected {text:?} nowhere: {said}"));
        }
    }
    for (name, pointer) in step.keep {
        let value = answer.body.pointer(&pointer).and_then(Value::as_str);
        kept.insert(name, value.ok_or_else(|| format!("expected a text at {pointer}: {said}"))?.to_owned());
    }
    Ok(())
}

fn settings(scim: &IdpScim) -> IdpSettings {
    IdpSettings {
        mode: scim.mode.into(),
        patch_answer: match scim.patch_answer {
            Configured::Auto => PatchAnswer::Auto,
            Configured::Resource => PatchAnswer::Resource,
            Configured::NoContent => PatchAnswer::NoContent,
        },
        skip_unknown_members: scim.unknown_members == UnknownMembers::Ignore,
        advertise_password: scim.advertise_password,
        ..IdpSettings::default()
    }
}

/// Puts what was kept into every text of a value.
fn fill(value: Value, kept: &BTreeMap<String, String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => filled(&text, kept)?.into(),
        Value::Array(values) => values.into_iter().map(|one| fill(one, kept)).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Object(object) => {
            let filled = object.into_iter().map(|(key, one)| Ok((key, fill(one, kept)?)));
            Value::Object(filled.collect::<Result<Map<_, _>, String>>()?)
        }
        value => value,
    })
}

fn filled(text: &str, kept: &BTreeMap<String, String>) -> Result<String, String> {
    let filled =
        kept.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
    if filled.contains("{{") { Err(format!("nothing was kept for {filled:?}")) } else { Ok(filled) }
}

fn says(found: &Value, expected: &Value, at: &str) -> Result<(), String> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected.iter().try_for_each(|(key, expected)| {
            says(
                found.get(key).ok_or_else(|| format!("expected something at {at}/{key}"))?,
                expected,
                &format!("{at}/{key}"),
            )
        }),
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => found
            .iter()
            .zip(expected)
            .enumerate()
            .try_for_each(|(index, (found, expected))| says(found, expected, &format!("{at}/{index}"))),
        (found, expected) if found == expected => Ok(()),
        (_, expected) => Err(format!("expected {expected} at {at}")),
    }
}

#[test]
fn a_transcript_that_is_not_met_is_told() {
    let found = serde_json::json!({"a": [{"b": 1, "c": 2}]});
    assert!(says(&found, &serde_json::json!({"a": [{"b": 1}]}), "").is_ok());
    for other in [serde_json::json!({"a": []}), serde_json::json!({"a": [{"b": 2}]}), serde_json::json!({"d": null})] {
        assert!(says(&found, &other, "").is_err(), "{other}");
    }
    assert!(filled("/Users/{{nobody}}", &BTreeMap::new()).is_err());
    assert_eq!(settings(&IdpScim { mode: ScimMode::Strict, ..IdpScim::default() }).mode, crate::identity::Mode::Strict);
}
