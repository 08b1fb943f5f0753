//! The decision: pure, from snapshots, in the order of DESIGN §6 *Decide*.
//!
//! Cheap checks of the caller's word come first, then the signature, and only then is anything read that the body says.
//! The first check that does not hold decides. There is no store here and no lock: what only the store can know (a
//! person deactivated at another replica, an event that has started its run) is asked when the decision is recorded.

use std::sync::Arc;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};

use super::{
    InterceptorRequest, Judgement, Reason,
    github::{self, Push},
    reason::{Refusal, refuse, shown},
    signature, trigger,
};
use crate::{
    api::{AccessPolicy, EventRule},
    config::Config,
    directory::{Directory, User, unconfirmed},
    policy::{
        Catalog, Matched, SourceEntry, describe, matching, matching_alone, policy_facts, policy_ref, service_account,
    },
    store::{EventFacts, TraceStep},
};

/// What decisions depend on besides the snapshots.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of our `ClusterInterceptor` (`clusterInterceptor.name`): triggers use us by it.
    pub cluster_interceptor: String,
    /// How long a ticket lives (`ticket.ttl`).
    pub ticket_ttl: chrono::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cluster_interceptor: "scim".into(), ticket_ttl: chrono::Duration::minutes(5) }
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self { cluster_interceptor: config.cluster_interceptor.name.clone(), ticket_ttl: config.ticket.ttl.chrono() }
    }
}

/// Judges an event. Records nothing and tells nobody: `explain` is this same function.
pub fn decide(
    directory: &Directory,
    catalog: &Catalog,
    settings: &Settings,
    request: &InterceptorRequest,
    now: DateTime<Utc>,
) -> Judgement {
    let mut judging = Judging {
        check: "policy param",
        judgement: Judgement {
            at: now,
            reason: Reason::NotAnInterceptorRequest,
            authenticated: false,
            sentence: String::new(),
            trace: Vec::with_capacity(11),
            namespace: String::new(),
            trigger: String::new(),
            trigger_object: None,
            policy: None,
            service_account: String::new(),
            event: EventFacts::default(),
            user: None,
            groups: vec![],
            body_digest: None,
        },
    };
    let refusal = judging.judge(directory, catalog, settings, request).err();
    let Judging { check, mut judgement } = judging;
    if let Some(Refusal { reason, sentence }) = refusal {
        judgement.trace.push(TraceStep { check: check.into(), ok: false, found: sentence.clone() });
        judgement.reason = reason;
        judgement.sentence = sentence;
    }
    judgement
}

struct Judging {
    /// What is being looked at.
    check: &'static str,
    judgement: Judgement,
}

impl Judging {
    fn judge(
        &mut self,
        directory: &Directory,
        catalog: &Catalog,
        settings: &Settings,
        request: &InterceptorRequest,
    ) -> Result<(), Refusal> {
        let (policy, source) = self.whom_to_believe(catalog, settings, request)?;
        self.signed(source, request)?;

        let push = self.event(request)?;
        self.repository(source, &push)?;
        let user = self.identity(directory, source, &push)?;
        self.entitlement(directory, policy, &push, &user)?;

        self.judgement.body_digest = Some(sha256(request.body.as_bytes()));
        self.judgement.reason = Reason::Allowed;
        self.judgement.sentence = "allowed".into();
        Ok(())
    }

    /// From the caller's word to the policy and the source whose secrets the event must be signed with.
    fn whom_to_believe<'a>(
        &mut self,
        catalog: &'a Catalog,
        settings: &Settings,
        request: &InterceptorRequest,
    ) -> Result<(&'a AccessPolicy, &'a SourceEntry), Refusal> {
        let param = request.interceptor_params.get("policy").and_then(|value| value.as_str());
        let Some(name) = param.filter(|name| !name.is_empty()) else {
            return refuse(
                Reason::NoPolicyParam,
                "the trigger gives the scim interceptor no param policy, the name of an AccessPolicy",
            );
        };
        self.held(shown(name));

        self.check = "trigger";
        let id = trigger::parse(request.trigger_id())?;
        let object = trigger::find(catalog, &settings.cluster_interceptor, id, name)?;
        // Both are names of objects that exist from here on, not whatever the caller wrote.
        self.judgement.namespace = id.namespace.into();
        self.judgement.trigger = request.trigger_id().into();
        self.held(format!("{} of namespace {}", id.name, id.namespace));
        self.judgement.trigger_object = Some(object);

        self.check = "policy";
        let Some(policy) = catalog.policy(id.namespace, name) else {
            return refuse(
                Reason::UnknownPolicy,
                format!("there is no AccessPolicy {} in namespace {}", shown(name), id.namespace),
            );
        };
        let reference = policy_ref(policy);
        self.held(format!("{name}, generation {}", reference.generation.unwrap_or_default()));
        self.judgement.policy = Some(reference);
        self.judgement.service_account = service_account(policy).into();

        self.check = "source";
        let source_name = &policy.spec.source;
        let Some(source) = catalog.source(source_name) else {
            return refuse(
                Reason::UnknownSource,
                format!("policy {name} names the EventSource {}, which does not exist", shown(source_name)),
            );
        };
        if !source.object.spec.namespaces.iter().any(|allowed| allowed == id.namespace) {
            return refuse(
                Reason::SourceNotForNamespace,
                format!(
                    "EventSource {source_name} is not for policies of namespace {}: the cluster's admin can add it to spec.namespaces",
                    id.namespace
                ),
            );
        }
        self.judgement.event.source.clone_from(source_name);
        self.judgement.event.host.clone_from(&source.object.spec.host);
        Ok((policy, source))
    }

    fn signed(&mut self, source: &SourceEntry, request: &InterceptorRequest) -> Result<(), Refusal> {
        let secrets = match &source.secrets {
            Ok(secrets) => secrets,
            Err(why) => {
                return refuse(
                    Reason::SourceNotReady,
                    format!("EventSource {} is not ready: {why}", self.judgement.event.source),
                );
            }
        };
        self.held(self.judgement.event.source.clone());
        self.check = "signature";
        signature::verify(secrets, &request.body, request.headers(signature::HEADER))?;
        self.judgement.authenticated = true;
        self.held("signed with a secret of the source".into());
        Ok(())
    }

    fn event(&mut self, request: &InterceptorRequest) -> Result<Push, Refusal> {
        self.check = "event";
        self.judgement.event.event_id =
            request.context.as_ref().map(|context| shown(&context.event_id)).unwrap_or_default();
        let push = github::read(&request.body, request.headers(github::EVENT_HEADER))?;
        let event = &mut self.judgement.event;
        event.event = "push".into();
        // Whoever pushes to the repository itself has write access there.
        event.trust = "member".into();
        event.actor_id = Some(push.sender.id);
        event.repository = Some(push.repository.full_name.clone());
        event.repository_id = Some(push.repository.id);
        event.git_ref = Some(push.git_ref.clone());
        event.sha = Some(push.after.clone());
        if push.deleted {
            return refuse(
                Reason::RefDeleted,
                format!("the push deletes {}: there is nothing to run for", shown(&push.git_ref)),
            );
        }
        self.held(format!("push to {}", shown(&push.git_ref)));
        Ok(push)
    }

    fn repository(&mut self, source: &SourceEntry, push: &Push) -> Result<(), Refusal> {
        self.check = "repository";
        let spec = &source.object.spec;
        push.covered_by(&self.judgement.event.source, &spec.host, &spec.repositories.owners)?;
        self.held(shown(&push.repository.full_name));
        Ok(())
    }

    fn identity(&mut self, directory: &Directory, source: &SourceEntry, push: &Push) -> Result<Arc<User>, Refusal> {
        self.check = "identity";
        let host = &source.object.spec.host;
        let is_agent = directory.linked(host, push.sender.id).any(|holder| directory.agent(holder.id).is_some());
        push.by_someone(is_agent)?;
        let account = format!("account {} ({}) at {host}", shown(&push.sender.login), push.sender.id);
        let mut holders = directory.linked(host, push.sender.id);
        let user = match (holders.next(), holders.next()) {
            (Some(user), None) => user,
            (None, _) => {
                return refuse(
                    Reason::NoLink,
                    format!(
                        "{account} is linked to no user: ask your identity team to enter {} as your account number",
                        push.sender.id
                    ),
                );
            }
            // Also where all but one are inactive: a number that a leaver held is nobody's until it is taken from them.
            (Some(_), Some(_)) => {
                return refuse(
                    Reason::AmbiguousIdentity,
                    format!(
                        "{account} is claimed by {} users: your identity team must leave it with one",
                        2 + holders.count()
                    ),
                );
            }
        };
        self.judgement.user = Some(user.clone());
        self.held(format!("{account} is {} of {}", shown(&user.user_name), user.idp));

        self.check = "active";
        if !user.active {
            return refuse(Reason::Inactive, format!("{} is not active at {}", shown(&user.user_name), user.idp));
        }
        self.held("yes".into());

        if let Some(agent) = directory.agent(user.id) {
            self.check = "owner";
            let Some(owner) = directory.active_owners(agent).next() else {
                return refuse(
                    Reason::OwnerGone,
                    format!(
                        "{} is an agent for which nobody answers: none of its owners is active at {}; your identity team must give it another",
                        shown(&user.user_name),
                        user.idp
                    ),
                );
            };
            self.held(format!("{} answers for it", shown(&owner.user_name)));
        }

        if !directory.is_confirmed(&user.idp) {
            self.check = "identity provider";
            return refuse(Reason::IdpNotConfirmed, unconfirmed(&user.idp));
        }
        Ok(user.clone())
    }

    fn entitlement(
        &mut self,
        directory: &Directory,
        policy: &AccessPolicy,
        push: &Push,
        user: &User,
    ) -> Result<(), Refusal> {
        self.check = "subject";
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let facts = match policy_facts(policy, directory.idps()) {
            Ok(facts) => facts,
            Err(why) => return refuse(Reason::PolicyNotHonoured, why),
        };
        let matched = matching(directory, user.id, &facts.subjects);
        if matched.is_empty() && !matching_alone(directory, user.id, &facts.subjects).is_empty() {
            return refuse(
                Reason::NotEntitled,
                format!(
                    "{} is a subject of policy {name}, but none of its active owners is, and an agent can do no more than one of those who answer for it: ask whoever runs the policy's groups to add an owner",
                    shown(&user.user_name)
                ),
            );
        }
        if matched.is_empty() {
            let subjects = facts.subjects.iter().take(5).map(describe).collect::<Vec<_>>().join(", ");
            let more = if facts.subjects.len() > 5 { ", …" } else { "" };
            return refuse(
                Reason::NotEntitled,
                format!(
                    "{} ({}) is no subject of policy {name}, which lets these start its pipelines: {}{more}; ask whoever runs that group to add you",
                    shown(&user.user_name),
                    shown(&push.sender.login),
                    shown(&subjects)
                ),
            );
        }
        self.judgement.groups = matched
            .iter()
            .filter_map(|matched| match matched {
                Matched::Group(name) => Some(name.clone()),
                Matched::User => None,
            })
            .collect();
        self.held(match matched.first() {
            Some(Matched::Group(group)) => format!("member of group {}", shown(group)),
            _ => "named in the policy".into(),
        });

        self.check = "event rule";
        let event = &self.judgement.event;
        let rules = &policy.spec.events;
        if !rules.is_empty() && !rules.iter().any(|rule| covers(rule, &event.event, &event.trust)) {
            return refuse(
                Reason::EventNotInPolicy,
                format!("policy {name} lets no {} event start its pipelines", event.event),
            );
        }
        self.held(if rules.is_empty() { "any event".into() } else { event.event.clone() });
        Ok(())
    }

    fn held(&mut self, found: String) {
        self.judgement.trace.push(TraceStep { check: self.check.into(), ok: true, found });
    }
}

fn covers(rule: &EventRule, event: &str, trust: &str) -> bool {
    let type_fits = rule.types.is_empty() || rule.types.iter().any(|type_| type_ == event);
    // The default is [member] (DESIGN §5).
    let trust_fits =
        rule.trust.as_ref().map_or(trust == "member", |trusted| trusted.iter().any(|level| level == trust));
    type_fits && trust_fits
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
