//! Who else has power over us: can read our Secrets, make pods beside us, or act as our accounts. Whoever can is inside
//! our trust boundary (DESIGN §5), so the admin should know each by name.
//!
//! Computed from the bindings and roles themselves, since no review can ask "who can". Who may change roles and
//! bindings could give himself all of it, and is not listed.

mod powers;
mod trusted;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use powers::{Power, Reach, powers};
use trusted::{Trust, trust};

use super::{super::wire::Finding, listed, rights::Names};

/// The ClusterRoles that Tekton's examples bind to EventListeners' accounts, the first for the whole cluster (FACTS 32).
const STOCK: [&str; 2] = ["tekton-triggers-eventlistener-clusterroles", "tekton-triggers-eventlistener-roles"];
/// Names of ours that a rule may be limited to, beside those of EventSources' Secrets.
const OUR_NAMES: [&str; 5] =
    ["scim-tekton", "scim-tekton-rbac", "scim-tekton-ca", "scim-tekton-keys", "scim-tekton-issuer-clients"];
/// A right that is given to one of these is given to every pod or every log-in.
const EVERYBODY: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:anonymous"];

/// Everything that RBAC says about the whole cluster and about our namespaces.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// All ClusterRoles; those of aggregated ones are filled in by the control plane.
    pub cluster_roles: Vec<ClusterRole>,
    /// All that bind for the whole cluster.
    pub cluster: Vec<ClusterRoleBinding>,
    /// The Roles of our namespaces that are bound.
    pub roles: Vec<Role>,
    /// The RoleBindings of our namespaces.
    pub local: Vec<RoleBinding>,
}

/// That somebody has some power over us, and by what.
#[derive(Debug)]
struct Holding {
    power: Power,
    trust: Trust,
    /// `ServiceAccount tenant/ci`.
    who: String,
    everybody: bool,
    /// `ClusterRoleBinding listeners`.
    by: String,
    role: String,
}

pub(super) fn check(seen: &Result<Bindings, String>, names: &Names, secrets: &[String]) -> Vec<Finding> {
    const CHECK: &str = "others";
    match seen {
        Ok(bindings) => judge(&holdings(bindings, names, secrets), names),
        Err(why) => {
            let mend = "kubectl apply -f config/210-clusterrole.yaml: it holds the right to look";
            vec![Finding::warn(CHECK, format!("can't be looked at: {why}"), mend)]
        }
    }
}

fn judge(holdings: &[Holding], names: &Names) -> Vec<Finding> {
    let ours = format!("{} and {}", names.install, names.grants);
    let (stock, others): (Vec<&Holding>, Vec<&Holding>) = holdings
        .iter()
        .filter(|it| it.trust == Trust::Foreign)
        .partition(|it| STOCK.contains(&it.role.as_str()) && it.power != Power::All);
    let of = |power| others.iter().copied().filter(move |it| it.power == power).collect::<Vec<_>>();
    vec![
        listeners(&stock),
        finding("cluster admins", "may do everything", of(Power::All)),
        finding("others: Secrets", &format!("may read or replace Secrets in {ours}"), of(Power::Secrets)),
        finding("others: pods", &format!("may make pods in {ours}, or enter them"), of(Power::Pods)),
        finding("others: accounts", &format!("may act as accounts of {ours}"), of(Power::Accounts)),
        tekton(holdings),
    ]
}

fn finding(check: &str, may: &str, holdings: Vec<&Holding>) -> Finding {
    if holdings.is_empty() {
        return Finding::ok(check, format!("nobody else {may}"));
    }
    let everybody = holdings.iter().any(|it| it.everybody);
    let told = told(holdings.into_iter().map(|it| (it.who.as_str(), it.by.as_str())));
    let found = format!("{} {may}: {}", told.len(), listed(told));
    let mend = "each is trusted with every credential that we issue; from whom should not be, take that binding away, or \
                bind the role in his own namespaces only";
    if everybody { Finding::fail(check, found, mend) } else { Finding::warn(check, found, mend) }
}

fn listeners(stock: &[&Holding]) -> Finding {
    const CHECK: &str = "EventListeners";
    if stock.is_empty() {
        return Finding::ok(CHECK, "no account has Tekton's stock role over our namespaces");
    }
    let told = told(stock.iter().map(|it| (it.who.as_str(), it.by.as_str())));
    let bindings: BTreeSet<_> = stock.iter().map(|it| it.by.as_str()).collect();
    let roles: BTreeSet<_> = stock.iter().map(|it| it.role.as_str()).collect();
    let found = format!(
        "power over every Secret or account of the cluster, ours too, by Tekton's {}: {}",
        roles.into_iter().collect::<Vec<_>>().join(" and "),
        listed(told)
    );
    let mend = format!(
        "give them scim-tekton-eventlistener by a RoleBinding in their namespace and scim-tekton-eventlistener-cluster \
         by a ClusterRoleBinding (config/240-eventlistener-roles.yaml), then delete {}",
        listed(bindings.into_iter().map(ToOwned::to_owned))
    );
    Finding::fail(CHECK, found, mend)
}

/// No news, but part of what everything rests on.
fn tekton(holdings: &[Holding]) -> Finding {
    let of_tekton = holdings.iter().filter(|it| it.trust == Trust::Tekton);
    let who: BTreeSet<_> = of_tekton.map(|it| it.who.clone()).collect();
    let found = match who.len() {
        0 => "none of Tekton's accounts reaches our namespaces".to_owned(),
        _ => format!("trusted as the ground that we stand on: {}", listed(who)),
    };
    Finding::ok("Tekton's own accounts", found)
}

/// Each subject once, with all that it holds this by.
fn told<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut subjects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (who, by) in pairs {
        subjects.entry(who).or_default().insert(by);
    }
    let told =
        subjects.into_iter().map(|(who, by)| format!("{who} ({})", by.into_iter().collect::<Vec<_>>().join(", ")));
    told.collect()
}

/// Everything that anybody holds over us.
fn holdings(bindings: &Bindings, names: &Names, secrets: &[String]) -> Vec<Holding> {
    let our_names: BTreeSet<String> =
        OUR_NAMES.iter().map(ToString::to_string).chain(secrets.iter().cloned()).collect();
    let cluster_roles: BTreeMap<&str, &[PolicyRule]> = bindings
        .cluster_roles
        .iter()
        .filter_map(|role| Some((role.metadata.name.as_deref()?, role.rules.as_deref().unwrap_or_default())))
        .collect();
    let mut all = Vec::new();
    for binding in &bindings.cluster {
        let name = binding.metadata.name.as_deref().unwrap_or_default();
        let rules = cluster_roles.get(binding.role_ref.name.as_str()).copied().unwrap_or_default();
        let given = rules.iter().flat_map(|rule| powers(rule, Reach::Everywhere(&our_names))).collect();
        let bound = Bound { name, by: format!("ClusterRoleBinding {name}"), role: &binding.role_ref.name };
        all.extend(held(&bound, binding.subjects.as_deref(), &given, names));
    }
    for binding in &bindings.local {
        let name = binding.metadata.name.as_deref().unwrap_or_default();
        let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
        if namespace != names.install && namespace != names.grants {
            continue;
        }
        let rules = match binding.role_ref.kind.as_str() {
            "ClusterRole" => cluster_roles.get(binding.role_ref.name.as_str()).copied().unwrap_or_default(),
            _ => role_rules(&bindings.roles, namespace, &binding.role_ref),
        };
        let given = rules.iter().flat_map(|rule| powers(rule, Reach::Here)).collect();
        let bound = Bound { name, by: format!("RoleBinding {namespace}/{name}"), role: &binding.role_ref.name };
        all.extend(held(&bound, binding.subjects.as_deref(), &given, names));
    }
    all
}

struct Bound<'a> {
    name: &'a str,
    by: String,
    role: &'a str,
}

fn held(bound: &Bound<'_>, subjects: Option<&[Subject]>, given: &BTreeSet<Power>, names: &Names) -> Vec<Holding> {
    let mut all = Vec::new();
    for subject in subjects.unwrap_or_default() {
        let trust = trust(subject, bound.name, bound.role, names);
        if trust == Trust::Expected {
            continue;
        }
        let who = match &subject.namespace {
            Some(namespace) if subject.kind == "ServiceAccount" => {
                format!("ServiceAccount {namespace}/{}", subject.name)
            }
            _ => format!("{} {}", subject.kind, subject.name),
        };
        let everybody = subject.kind != "ServiceAccount" && EVERYBODY.contains(&subject.name.as_str());
        all.extend(given.iter().map(|power| Holding {
            power: *power,
            trust,
            who: who.clone(),
            everybody,
            by: bound.by.clone(),
            role: bound.role.to_owned(),
        }));
    }
    all
}

fn role_rules<'a>(roles: &'a [Role], namespace: &str, reference: &RoleRef) -> &'a [PolicyRule] {
    let role = roles.iter().find(|role| {
        role.metadata.namespace.as_deref() == Some(namespace)
            && role.metadata.name.as_deref() == Some(reference.name.as_str())
    });
    role.and_then(|role| role.rules.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
