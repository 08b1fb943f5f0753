//! GitHub's events. What an event is, follows from its body, for nothing else is signed; the header must agree.
//!
//! Whose act is a push? `sender`'s, by its numeric id. `commits[].author` is free text and is not even read; `login`
//! may be renamed and reused, and is only shown (FACTS 27, 28).
//!
//! **Deploy keys.** GitHub shows a push by a deploy key under the account that added the key, and documents no field
//! that marks it (`pusher_type` stands in `create` and `delete` events only). A push by a person names that person
//! twice, as `pusher.name` and as `sender.login`, so one that does not is refused. Where GitHub fills in both with the
//! creator's login, the body can't tell: whoever needs that closed forbids write access to deploy keys (an organisation's
//! setting) or keeps them out of the branch's ruleset.

use serde::{Deserialize, de::IgnoredAny};

use super::reason::{Reason, Refusal, refuse, shown};

/// The header that names the event's type; not signed.
pub(super) const EVENT_HEADER: &str = "X-GitHub-Event";

/// A push, as far as decisions read it.
#[derive(Debug, Deserialize)]
pub(super) struct Push {
    #[serde(rename = "ref")]
    pub git_ref: String,
    pub after: String,
    #[serde(default)]
    pub deleted: bool,
    pub repository: Repository,
    pub sender: Sender,
    pub pusher: Pusher,
    /// `create` and `delete` events have it, a push does not.
    #[serde(default)]
    ref_type: Option<IgnoredAny>,
    /// Most other events have it, a push does not.
    #[serde(default)]
    action: Option<IgnoredAny>,
    /// Pings have it.
    #[serde(default)]
    zen: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub id: u64,
    pub full_name: String,
    #[serde(default)]
    pub html_url: Option<String>,
    pub owner: Owner,
}

#[derive(Debug, Deserialize)]
pub(super) struct Owner {
    pub id: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sender {
    pub id: u64,
    pub login: String,
    #[serde(rename = "type")]
    pub type_: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pusher {
    pub name: String,
}

/// Which fields a body has, to say what it is when it is no push that we can read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shape {
    #[serde(rename = "ref")]
    git_ref: Option<IgnoredAny>,
    after: Option<IgnoredAny>,
    pusher: Option<IgnoredAny>,
    zen: Option<IgnoredAny>,
    hook: Option<IgnoredAny>,
}

/// Reads a signed body. One pass over it where it is a push; everything else is refused, with its reason.
pub(super) fn read<'a>(body: &str, mut headers: impl Iterator<Item = &'a str>) -> Result<Push, Refusal> {
    let header = headers.next().filter(|_| headers.next().is_none());
    match serde_json::from_str::<Push>(body) {
        Ok(push) if push.ref_type.is_none() && push.action.is_none() && push.zen.is_none() => {
            agree("push", header)?;
            Ok(push)
        }
        _ => Err(refusal(body, header)),
    }
}

fn refusal(body: &str, header: Option<&str>) -> Refusal {
    let Ok(shape) = serde_json::from_str::<Shape>(body) else {
        return Refusal {
            reason: Reason::UnreadableEvent,
            sentence: "the body is no JSON object: set the webhook's content type to application/json".into(),
        };
    };
    let of = if shape.zen.is_some() && shape.hook.is_some() {
        "ping"
    } else if shape.git_ref.is_some() && shape.after.is_some() && shape.pusher.is_some() {
        "push"
    } else {
        ""
    };
    let known = |header: &str| ["ping", "push"].contains(&header);
    let mismatch = if of.is_empty() { header.is_some_and(known) } else { header != Some(of) };
    if mismatch && let Err(refusal) = agree(if of.is_empty() { "something else" } else { of }, header) {
        return refusal;
    }
    match of {
        "ping" => Refusal {
            reason: Reason::Ping,
            sentence: "this is GitHub's ping, and its signature is right: the webhook works; a ping starts nothing".into(),
        },
        "push" => Refusal {
            reason: Reason::UnreadableEvent,
            sentence: "the push event can't be read: expected ref, after, pusher.name, repository.id, repository.full_name, repository.owner.id, sender.id, sender.login and sender.type".into(),
        },
        _ => Refusal {
            reason: Reason::UnknownEvent,
            sentence: format!(
                "scim-tekton judges push events, not {}: choose only push events for this webhook",
                header.map_or_else(|| "this one".into(), type_name)
            ),
        },
    }
}

fn agree(shape: &str, header: Option<&str>) -> Result<(), Refusal> {
    if header == Some(shape) {
        return Ok(());
    }
    let says = header.map_or_else(
        || format!("there is no single {EVENT_HEADER}"),
        |header| format!("{EVENT_HEADER} says {}", type_name(header)),
    );
    refuse(
        Reason::EventTypeMismatch,
        format!("the body is {shape}, but {says}: the header is not signed and must agree"),
    )
}

/// An event type as a header names it; a caller may write anything there.
fn type_name(header: &str) -> String {
    let plain = !header.is_empty()
        && header.len() <= 40
        && header.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain { header.into() } else { "something unreadable".into() }
}

impl Push {
    /// Refuses what is no push of a person, nor of a bot that is an Agent's.
    pub(super) fn by_someone(&self, is_agent: bool) -> Result<(), Refusal> {
        let login = shown(&self.sender.login);
        if self.sender.type_ != "User" && !(is_agent && self.sender.type_ == "Bot") {
            return refuse(
                Reason::Bot,
                format!(
                    "{login} is no person at GitHub, but {}: a bot acts only as an Agent that your identity team provisions with an owner and links to its account",
                    shown(&self.sender.type_)
                ),
            );
        }
        if !self.pusher.name.eq_ignore_ascii_case(&self.sender.login) {
            return refuse(
                Reason::DeployKey,
                format!(
                    "the push was made as {}, and GitHub shows it as {login}'s: so it does with a deploy key, which says nothing of who acted; push as yourself",
                    shown(&self.pusher.name)
                ),
            );
        }
        Ok(())
    }

    /// Refuses an event of another host than the source's, and of owners that it does not cover.
    pub(super) fn covered_by(&self, name: &str, host: &str, owners: &[u64]) -> Result<(), Refusal> {
        let repository = shown(&self.repository.full_name);
        // One secret given to two hosts must not let one speak for the other: numeric ids are unique within a host only.
        let address = self.repository.html_url.as_deref().and_then(host_of);
        if let Some(other) = address.filter(|other| !other.eq_ignore_ascii_case(host)) {
            return refuse(
                Reason::WrongHost,
                format!("{repository} is at {}, and source {name} speaks for {host}", shown(other)),
            );
        }
        if !owners.is_empty() && !owners.contains(&self.repository.owner.id) {
            return refuse(
                Reason::RepositoryNotCovered,
                format!(
                    "{repository} belongs to account {}, which source {name} does not cover: the cluster's admin can add it to repositories.owners",
                    self.repository.owner.id
                ),
            );
        }
        Ok(())
    }
}

fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body() -> Value {
        json!({
            "ref": "refs/heads/main", "before": "0", "after": "1",
            "repository": { "id": 1, "full_name": "acme/shop", "html_url": "https://github.com/acme/shop", "owner": { "id": 123_456 } },
            "pusher": { "name": "bob-dev" }, "sender": { "id": 583_231, "login": "bob-dev", "type": "User" }
        })
    }

    fn reason(body: &Value, header: &[&str]) -> Option<Reason> {
        read(&body.to_string(), header.iter().copied()).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn a_push_is_read() {
        let push = read(&body().to_string(), ["push"].into_iter()).unwrap();
        assert_eq!(
            (push.sender.id, push.repository.owner.id, push.git_ref.as_str()),
            (583_231, 123_456, "refs/heads/main")
        );
        assert!(push.by_someone(false).is_ok());
    }

    #[test]
    fn the_type_follows_from_the_body_and_the_header_must_agree() {
        assert_eq!(reason(&body(), &["push"]), None);
        assert_eq!(reason(&body(), &["ping"]), Some(Reason::EventTypeMismatch));
        assert_eq!(reason(&body(), &["push", "push"]), Some(Reason::EventTypeMismatch));
        assert_eq!(reason(&body(), &[]), Some(Reason::EventTypeMismatch));
        let ping = json!({ "zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}, "repository": {} });
        assert_eq!(reason(&ping, &["ping"]), Some(Reason::Ping));
        assert_eq!(reason(&ping, &["push"]), Some(Reason::EventTypeMismatch));
        let comment = json!({ "action": "created", "issue": {}, "comment": {}, "repository": {}, "sender": {} });
        assert_eq!(reason(&comment, &["issue_comment"]), Some(Reason::UnknownEvent));
        assert_eq!(reason(&comment, &["push"]), Some(Reason::EventTypeMismatch));
    }

    #[test]
    fn a_create_event_with_the_fields_of_a_push_is_no_push() {
        for extra in ["ref_type", "action", "zen"] {
            let mut other = body();
            other[extra] = "branch".into();
            assert!(reason(&other, &["push"]).is_some(), "{extra}");
        }
    }

    #[test]
    fn a_push_that_lacks_a_field_is_unreadable_and_the_sentence_repeats_nothing_of_it() {
        let mut broken = body();
        broken["sender"]["id"] = "s3cret".into();
        let refusal = read(&broken.to_string(), ["push"].into_iter()).unwrap_err();
        assert_eq!(refusal.reason, Reason::UnreadableEvent);
        assert!(!refusal.sentence.contains("s3cret"));
        assert_eq!(reason(&json!("text"), &["push"]), Some(Reason::UnreadableEvent));
        let twice = body().to_string().replacen('{', r#"{"ref":"refs/heads/x","#, 1);
        assert!(read(&twice, ["push"].into_iter()).is_err());
    }
}
