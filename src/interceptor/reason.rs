//! Why an event was let through or stopped: one word for machines, a gRPC code for Tekton, a sentence for people.

/// Why, in one word. What stands above the line is decided before the signature holds, and is told to no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Reason {
    NotAnInterceptorRequest,
    NoPolicyParam,
    BadTriggerId,
    TriggerGroup,
    UnknownTrigger,
    TriggerDoesNotNameUs,
    TriggerNamesAnotherPolicy,
    AmbiguousTrigger,
    UnknownPolicy,
    UnknownSource,
    SourceNotForNamespace,
    SourceNotReady,
    NoSignature,
    MalformedSignature,
    WrongSignature,
    // --- the signature holds ---
    PolicyNotHonoured,
    EventTypeMismatch,
    UnreadableEvent,
    Ping,
    UnknownEvent,
    RefDeleted,
    WrongHost,
    RepositoryNotCovered,
    Bot,
    DeployKey,
    NoLink,
    AmbiguousIdentity,
    Inactive,
    OwnerGone,
    IdpNotConfirmed,
    NotEntitled,
    EventNotInPolicy,
    AlreadyUsed,
    StoreFailed,
    Allowed,
}

impl Reason {
    /// As metrics, audit rows and decisions spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAnInterceptorRequest => "NotAnInterceptorRequest",
            Self::NoPolicyParam => "NoPolicyParam",
            Self::BadTriggerId => "BadTriggerId",
            Self::TriggerGroup => "TriggerGroup",
            Self::UnknownTrigger => "UnknownTrigger",
            Self::TriggerDoesNotNameUs => "TriggerDoesNotNameUs",
            Self::TriggerNamesAnotherPolicy => "TriggerNamesAnotherPolicy",
            Self::AmbiguousTrigger => "AmbiguousTrigger",
            Self::UnknownPolicy => "UnknownPolicy",
            Self::UnknownSource => "UnknownSource",
            Self::SourceNotForNamespace => "SourceNotForNamespace",
            Self::SourceNotReady => "SourceNotReady",
            Self::NoSignature => "NoSignature",
            Self::MalformedSignature => "MalformedSignature",
            Self::WrongSignature => "WrongSignature",
            Self::PolicyNotHonoured => "PolicyNotHonoured",
            Self::EventTypeMismatch => "EventTypeMismatch",
            Self::UnreadableEvent => "UnreadableEvent",
            Self::Ping => "Ping",
            Self::UnknownEvent => "UnknownEvent",
            Self::RefDeleted => "RefDeleted",
            Self::WrongHost => "WrongHost",
            Self::RepositoryNotCovered => "RepositoryNotCovered",
            Self::Bot => "Bot",
            Self::DeployKey => "DeployKey",
            Self::NoLink => "NoLink",
            Self::AmbiguousIdentity => "AmbiguousIdentity",
            Self::Inactive => "Inactive",
            Self::OwnerGone => "OwnerGone",
            Self::IdpNotConfirmed => "IdpNotConfirmed",
            Self::NotEntitled => "NotEntitled",
            Self::EventNotInPolicy => "EventNotInPolicy",
            Self::AlreadyUsed => "AlreadyUsed",
            Self::StoreFailed => "StoreFailed",
            Self::Allowed => "Allowed",
        }
    }

    /// gRPC status code of the answer (`google.rpc.Code`).
    pub fn code(self) -> i32 {
        match self {
            Self::Allowed => 0,
            Self::NotAnInterceptorRequest | Self::EventTypeMismatch | Self::UnreadableEvent => 3,
            Self::AlreadyUsed => 6,
            Self::PolicyNotHonoured | Self::Ping | Self::RefDeleted => 9,
            Self::UnknownEvent => 12,
            Self::StoreFailed => 14,
            before if before < Self::PolicyNotHonoured => 16,
            _ => 7,
        }
    }
}

/// A check that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// In one word.
    pub reason: Reason,
    /// For the one who can do something about it.
    pub sentence: String,
}

/// `Err` with a reason and its sentence.
pub(super) fn refuse<T>(reason: Reason, sentence: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { reason, sentence: sentence.into() })
}

/// Foreign text, fit to stand in a sentence that ends in logs, Events and terminals: no control characters, no
/// invisible reordering, at most 100 characters.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (place, character) in text.chars().enumerate() {
        if place == LONGEST {
            out.push('…');
            break;
        }
        let misleading =
            matches!(character, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200B}'..='\u{200F}');
        out.push(if character.is_control() || misleading { '\u{FFFD}' } else { character });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_before_the_signature_holds_is_unauthenticated() {
        assert_eq!(Reason::NoPolicyParam.code(), 16);
        assert_eq!(Reason::WrongSignature.code(), 16);
        assert_eq!(Reason::NotAnInterceptorRequest.code(), 3);
        assert_eq!(Reason::NotEntitled.code(), 7);
        assert_eq!(Reason::Allowed.code(), 0);
    }

    #[test]
    fn a_name_cannot_forge_a_line_of_a_log() {
        assert_eq!(shown("a\nallowed \u{1b}[2J\u{202E}b"), "a\u{FFFD}allowed \u{FFFD}[2J\u{FFFD}b");
        assert_eq!(shown(&"é".repeat(200)).chars().count(), 101);
    }
}
