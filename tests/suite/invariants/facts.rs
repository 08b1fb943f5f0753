//! What the checker looks at: of the store by our command line, of the cluster by its admin.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use k8s_openapi::api::{
    core::v1::{Namespace, Secret, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{Api, Resource, ResourceExt as _, api::ListParams};
use reqwest::Method;
use scim_tekton::{
    api::{GRANT_LABEL, Grant, GrantPhase, INSTANCE_LABEL, TICKET_ANNOTATION, tekton::PipelineRun},
    audit::Row,
    store::GrantRecord,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::world::{GRANTS_NAMESPACE, INSTANCE_OF_NAMESPACE, Outcome, World, kubectl};

/// An object of a Grant.
pub struct Labelled {
    /// `ServiceAccount a/b`.
    pub what: String,
    /// Id of its Grant.
    pub grant: String,
}

/// A PipelineRun with a ticket, without a controller.
pub struct Ticketed {
    pub uid: String,
    /// `namespace/name`.
    pub path: String,
    pub pending: bool,
    pub done: bool,
    /// When Tekton began with it, in whole seconds; `None` if it has no task. A run that is refused has a start and an
    /// end in its status, and none.
    pub started: Option<DateTime<Utc>>,
}

/// All of it.
pub struct Facts {
    pub now: DateTime<Utc>,
    pub grants: Vec<GrantRecord>,
    pub rows: Vec<Row>,
    pub objects: Vec<Labelled>,
    /// By its id, what each Grant object tells of its phase.
    pub shown: BTreeMap<String, GrantPhase>,
    pub runs: Vec<Ticketed>,
    /// A user's id; whether they are active as it was acknowledged, and as it is.
    pub users: BTreeMap<String, (bool, Option<bool>)>,
    /// Group and user; whether they are in it as it was acknowledged, and as it is.
    pub members: BTreeMap<(String, String), (bool, bool)>,
    /// Grants that an API server still allows something, though they are dead.
    pub powerful: Vec<String>,
}

impl Facts {
    /// Reads everything. The cluster goes first: what is there must be known by the store that is read after it.
    pub async fn gather(world: &World) -> Outcome<Self> {
        let runs = ticketed(world).await?;
        let mut objects = labelled::<ServiceAccount>(world, "ServiceAccount", Some(GRANTS_NAMESPACE)).await?;
        objects.extend(labelled::<Secret>(world, "Secret", None).await?);
        objects.extend(labelled::<RoleBinding>(world, "RoleBinding", None).await?);
        let shown = shown(world).await?;
        let grants: Vec<GrantRecord> =
            serde_json::from_value(world.instance.cli_json(&["grants", "list", "--all"]).await?)?;
        let export = world.instance.cli(&["audit", "export"]).await?;
        let rows = export.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let (users, members) = provisioned(world).await?;
        let powerful = powerful(world, &grants).await?;
        Ok(Self { now: Utc::now(), grants, rows, objects, shown, runs, users, members, powerful })
    }
}

async fn labelled<K>(world: &World, kind: &str, namespace: Option<&str>) -> Outcome<Vec<Labelled>>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(world.kube.clone(), namespace),
        None => Api::all(world.kube.clone()),
    };
    let ours = ListParams::default().labels(&format!("{INSTANCE_LABEL}={},{GRANT_LABEL}", world.instance.name));
    let found = api.list_metadata(&ours).await?.items;
    Ok(found
        .iter()
        // What the garbage collector or a namespace's end is removing is not ours to remove.
        .filter(|object| object.metadata.deletion_timestamp.is_none())
        .map(|object| Labelled {
            what: format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any()),
            grant: object.labels().get(GRANT_LABEL).cloned().unwrap_or_default(),
        })
        .collect())
}

async fn shown(world: &World) -> Outcome<BTreeMap<String, GrantPhase>> {
    let ours = ListParams::default().labels(&format!("{INSTANCE_LABEL}={}", world.instance.name));
    let there = Api::<Grant>::all(world.kube.clone()).list(&ours).await?.items;
    let told = |grant: Grant| {
        let id = grant.labels().get(GRANT_LABEL).cloned().unwrap_or_default();
        (id, grant.status.map(|status| status.phase).unwrap_or_default())
    };
    Ok(there.into_iter().map(told).collect())
}

async fn ticketed(world: &World) -> Outcome<Vec<Ticketed>> {
    let selector = match world.instance.process {
        Some(_) => format!("{INSTANCE_OF_NAMESPACE}={}", world.instance.name),
        None => format!("!{INSTANCE_OF_NAMESPACE}"),
    };
    let namespaces: Api<Namespace> = Api::all(world.kube.clone());
    let ours = namespaces.list_metadata(&ListParams::default().labels(&selector)).await?;
    let mut all = Vec::new();
    for namespace in ours.items.iter().filter(|namespace| namespace.metadata.deletion_timestamp.is_none()) {
        let runs: Api<PipelineRun> = Api::namespaced(world.kube.clone(), &namespace.name_any());
        let with_tasks = owners(&namespace.name_any()).await?;
        for run in runs.list(&ListParams::default()).await?.items {
            let child = run.owner_references().iter().any(|owner| owner.controller == Some(true));
            if !run.annotations().contains_key(TICKET_ANNOTATION) || child || run.metadata.deletion_timestamp.is_some()
            {
                continue;
            }
            let started = run.status.as_ref().and_then(|status| status.start_time.as_deref());
            let started = started.filter(|_| run.uid().is_some_and(|uid| with_tasks.contains(&uid)));
            all.push(Ticketed {
                uid: run.uid().unwrap_or_default(),
                path: format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any()),
                pending: run.spec.status.as_deref() == Some("PipelineRunPending"),
                done: run.is_done(),
                started: started.and_then(|at| at.parse().ok()),
            });
        }
    }
    Ok(all)
}

/// Who owns the tasks of a namespace, by uid.
async fn owners(namespace: &str) -> Outcome<BTreeSet<String>> {
    let path = "jsonpath={range .items[*]}{.metadata.ownerReferences[*].uid}{\"\\n\"}{end}";
    let uids = kubectl(&["get", "taskruns,customruns", "-n", namespace, "-o", path]).await?;
    Ok(uids.split_whitespace().map(str::to_owned).collect())
}

type Users = BTreeMap<String, (bool, Option<bool>)>;
type Members = BTreeMap<(String, String), (bool, bool)>;

/// What was acknowledged, beside what SCIM says now.
async fn provisioned(world: &World) -> Outcome<(Users, Members)> {
    let mut users = Users::new();
    for (user, acknowledged) in world.okta.ledger.users() {
        let (status, resource) = world.okta.call(Method::GET, &format!("/Users/{user}"), None).await?;
        let is = status.is_success().then(|| resource["active"] == true);
        users.insert(user, (acknowledged, is));
    }
    let mut members = Members::new();
    let mut groups: BTreeMap<String, Value> = BTreeMap::new();
    for ((group, user), acknowledged) in world.okta.ledger.members() {
        if !groups.contains_key(&group) {
            groups.insert(group.clone(), world.okta.call(Method::GET, &format!("/Groups/{group}"), None).await?.1);
        }
        let is = groups[&group]["members"].as_array().is_some_and(|all| all.iter().any(|it| it["value"] == *user));
        members.insert((group, user), (acknowledged, is));
    }
    Ok((users, members))
}

/// Dead Grants whose account one of the API servers would still let do something, asked for the newest ones.
async fn powerful(world: &World, grants: &[GrantRecord]) -> Outcome<Vec<String>> {
    const NEWEST: usize = 40;
    let mut powerful = Vec::new();
    let dead = grants.iter().rev().filter(|grant| grant.revoked_at.is_some() && grant.provider == "kubernetes");
    for grant in dead.take(NEWEST) {
        let user = format!("system:serviceaccount:{GRANTS_NAMESPACE}:grant-{}", grant.id);
        for server in world.api_servers() {
            if crate::world::may(world, &server, &user, &grant.namespace).await? {
                powerful.push(format!("Grant {} at {server}", grant.id));
            }
        }
    }
    Ok(powerful)
}
