//! From a CustomRun to a credential. What the CustomRun says of itself proves nothing (FACTS 11): the live PipelineRun,
//! its row and its resolved spec decide. Nothing is handed out before the store says Active.

use std::sync::Arc;

use chrono::Duration;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tracing::warn;
use uuid::Uuid;

use super::{Context, ControllerError, matrix};
use crate::{
    api::{
        CredentialTemplate, GrantPhase, ObjectRef,
        tekton::{CustomRun, PipelineRun},
    },
    cluster::{is_not_found, time},
    credential::{IssueError, Material, delivery, oidc::OidcProvider, projection},
    policy,
    store::{Activated, Begun, GrantId, GrantRecord, GrantSelect, Issued, NewGrant, RunRecord, StoreError},
};

/// Lifetime of a credential whose template names none.
const DEFAULT_TTL: Duration = Duration::minutes(15);

/// Issues the credential that a CustomRun asks for, or finds it issued already.
pub async fn issue(context: &Arc<Context>, custom: &CustomRun) -> Result<GrantRecord, IssueError> {
    context.admission.check().map_err(IssueError::Unavailable)?;
    let namespace = custom.namespace().unwrap_or_default();
    let run = owner(context, custom, &namespace).await?;
    let row = redeemed(context, &run).await?;
    let template_name = custom.spec.custom_ref.as_ref().and_then(|r| r.name.clone()).unwrap_or_default();
    note_start(context, &run, &row).await?;
    let (task, index) = pipeline_task(custom, &run, &template_name)?;
    check_policy(context, &row, &run, &template_name)?;
    let template = template(context, &namespace, &template_name).await?;
    let ttl = lifetime(&template);
    let (provider, facts) = plan(context, &run, &template, &namespace, ttl).await?;

    // Registered before the Pending row stands: a revocation that finds the row waits for us.
    let id = GrantId(Uuid::new_v4());
    let mut working = context.revoker.issuing.begin(id);
    let new = NewGrant {
        id,
        run_uid: row.uid.clone(),
        task,
        index,
        provider: provider.to_owned(),
        template: ObjectRef {
            name: template_name,
            uid: template.uid().unwrap_or_default(),
            generation: template.metadata.generation,
        },
        facts,
    };
    let grant = match context.store.begin_grant(new).await.map_err(unavailable)? {
        Begun::Pending(grant) => grant,
        Begun::Refused(sentence) => return Err(IssueError::Refused(sentence)),
        Begun::Existing(grant) => {
            working = context.revoker.issuing.begin(grant.id);
            if working.is_none() {
                return Err(IssueError::NotYet("this credential is being issued"));
            }
            // Read again, now that a revocation would wait for us: it may have come and gone before.
            let grant = context.store.grant(grant.id).await.map_err(unavailable)?;
            grant.ok_or(IssueError::NotYet("the Grant is gone"))?
        }
    };
    let id_made = grant.id;
    fail::fail_point!("issue::after_pending");
    let issued = bring_about(context, grant, &row, ttl).await;
    drop(working);
    if let Err(IssueError::Refused(_)) = &issued {
        // Whatever was made of it by now goes at once, not at the next sweep.
        let (revoker, id) = (Arc::clone(&context.revoker), id_made);
        tokio::spawn(async move { revoker.revoke_grant(id).await });
    }
    issued
}

/// Takes a Grant's row to a credential in the run's namespace, from wherever an earlier attempt left it.
async fn bring_about(
    context: &Arc<Context>,
    grant: GrantRecord,
    row: &RunRecord,
    ttl: Duration,
) -> Result<GrantRecord, IssueError> {
    match grant.phase {
        GrantPhase::Pending => {
            let material = match make(context, &grant, row, ttl).await {
                Ok(material) => material,
                Err(IssueError::Refused(sentence)) => {
                    give_up(context, &grant, &sentence).await;
                    return Err(IssueError::Refused(sentence));
                }
                Err(later) => return Err(later),
            };
            let issued = Issued {
                expires_at: material.expires_at,
                secret_name: delivery::secret_name(grant.id),
                facts: with_life(material.facts.clone(), material.expires_at - (context.clock)()),
            };
            fail::fail_point!("issue::before_activate");
            match context.store.activate_grant(grant.id, issued).await.map_err(unavailable)? {
                Activated::Active(grant) => hand_out(context, grant, &material).await,
                Activated::Revoking(grant) => Err(IssueError::Refused(revoked(&grant))),
            }
        }
        GrantPhase::Active => {
            // We stopped between Active and the CustomRun's status: hand out a fresh one, judged and audited like a
            // renewal.
            let material = remake(context, &grant, row, ttl).await?;
            match context.store.renew_grant(grant.id, material.expires_at).await.map_err(unavailable)? {
                Activated::Active(grant) => hand_out(context, grant, &material).await,
                Activated::Revoking(grant) => Err(IssueError::Refused(revoked(&grant))),
            }
        }
        GrantPhase::Revoking | GrantPhase::Revoked => Err(IssueError::Refused(revoked(&grant))),
        GrantPhase::Failed => Err(IssueError::Refused(
            grant.failure.unwrap_or_else(|| "this task's credential could not be issued".into()),
        )),
    }
}

async fn hand_out(context: &Arc<Context>, grant: GrantRecord, material: &Material) -> Result<GrantRecord, IssueError> {
    fail::fail_point!("issue::before_delivery");
    let client = &context.cluster.direct;
    let (delivered, shown) = tokio::join!(
        delivery::deliver(client, &grant, &context.instance, material),
        projection::create(client, &grant, &context.instance),
    );
    delivered.map_err(|error| IssueError::from_kubernetes(&error, "writing the credential's Secret"))?;
    if let Err(error) = shown {
        // The object is for people's eyes; the row is the truth.
        warn!(grant = %grant.id, %error, "can't make the Grant object");
    }
    context.revoker.projector.show(grant.id);
    fail::fail_point!("issue::after_delivery");
    Ok(grant)
}

/// Ends the Pending Grant that a CustomRun leaves which ends without a credential.
pub async fn abandon(context: &Arc<Context>, custom: &CustomRun, why: &str) -> Result<(), ControllerError> {
    let namespace = custom.namespace().unwrap_or_default();
    let run = match owner(context, custom, &namespace).await {
        Ok(run) => run,
        Err(IssueError::Unavailable(why)) => return Err(ControllerError::Later(why)),
        // It is no run's, or the run is gone, and its Grants with it.
        Err(_) => return Ok(()),
    };
    let template = custom.spec.custom_ref.as_ref().and_then(|r| r.name.as_deref()).unwrap_or_default();
    let Ok((task, index)) = pipeline_task(custom, &run, template) else { return Ok(()) };
    let pending = GrantSelect { run_uid: run.uid(), phases: vec![GrantPhase::Pending], ..GrantSelect::default() };
    let pending = context.store.grants(&pending).await?;
    let Some(grant) = pending.into_iter().find(|grant| grant.task == task && grant.index == index) else {
        return Ok(());
    };
    let Some(working) = context.revoker.issuing.begin(grant.id) else {
        return Err(ControllerError::Later("this credential is being issued".into()));
    };
    context.store.fail_grant(grant.id, why).await?;
    drop(working);
    let revoker = Arc::clone(&context.revoker);
    tokio::spawn(async move { revoker.revoke_grant(grant.id).await });
    Ok(())
}

/// The live PipelineRun that owns the CustomRun.
async fn owner(context: &Context, custom: &CustomRun, namespace: &str) -> Result<PipelineRun, IssueError> {
    let by_hand = || {
        IssueError::Refused(
            "a CredentialTemplate is used from a pipeline's taskRef: this CustomRun has no PipelineRun as its \
             controller"
                .into(),
        )
    };
    let owner = custom
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true))
        .filter(|owner| owner.kind == "PipelineRun" && owner.api_version.starts_with("tekton.dev/"))
        .ok_or_else(by_hand)?;
    let runs: Api<PipelineRun> = Api::namespaced(context.cluster.direct.clone(), namespace);
    match runs.get(&owner.name).await {
        Ok(run) if run.uid().as_deref() == Some(&owner.uid) => Ok(run),
        Ok(_) => Err(by_hand()),
        Err(error) if is_not_found(&error) => Err(by_hand()),
        Err(error) => Err(IssueError::from_kubernetes(&error, "reading the PipelineRun")),
    }
}

/// The run's row: it was redeemed, and it has not ended.
async fn redeemed(context: &Context, run: &PipelineRun) -> Result<RunRecord, IssueError> {
    let row = context.store.run(&run.uid().unwrap_or_default()).await.map_err(unavailable)?.ok_or_else(|| {
        IssueError::Refused(
            "this PipelineRun has no redeemed ticket: start it through an EventListener whose trigger names the \
             scim interceptor"
                .into(),
        )
    })?;
    if let Some(reason) = row.ended_reason {
        return Err(IssueError::Refused(format!("this run's authority has ended: {}", reason.as_str())));
    }
    if run.is_done() {
        return Err(IssueError::Refused("this run has ended".into()));
    }
    Ok(row)
}

/// Whoever sees first that the run has started notes it: how long its Grants may live counts from there.
async fn note_start(context: &Context, run: &PipelineRun, row: &RunRecord) -> Result<(), IssueError> {
    let started = run.status.as_ref().and_then(|status| status.start_time.as_deref()).and_then(time::parse);
    match (started, row.started_at) {
        (Some(at), None) => context.store.run_started(&row.uid, at).await.map_err(unavailable),
        _ => Ok(()),
    }
}

/// The task of the run's resolved spec that asks for this template, and the CustomRun's number in its matrix.
fn pipeline_task(custom: &CustomRun, run: &PipelineRun, template: &str) -> Result<(String, i64), IssueError> {
    let label = custom.labels().get("tekton.dev/pipelineTask").cloned().unwrap_or_default();
    // Tekton writes it at the end of the reconciliation that makes the CustomRun.
    let spec = run.status.as_ref().and_then(|status| status.pipeline_spec.as_ref());
    let spec = spec.ok_or(IssueError::NotYet("the run's resolved spec is not written yet"))?;
    let task = spec.tasks.iter().chain(&spec.finally_tasks).find(|task| task.name == label).ok_or_else(|| {
        IssueError::Refused(format!("the run's pipeline has no task {label:?}: this CustomRun is not the run's own"))
    })?;
    let asks =
        task.task_ref.as_ref().is_some_and(|r| r.is_credential_template() && r.name.as_deref() == Some(template));
    if !asks {
        return Err(IssueError::Refused(format!(
            "task {label:?} of the run's pipeline does not name CredentialTemplate {template:?}"
        )));
    }
    let children = run.status.as_ref().map(|status| status.child_references.as_slice()).unwrap_or_default();
    let index = matrix::index(&custom.name_any(), &run.name_any(), task, children)?;
    Ok((label, index))
}

/// The run's policy as it is now still fits the run, and offers this template.
fn check_policy(context: &Context, row: &RunRecord, run: &PipelineRun, template: &str) -> Result<(), IssueError> {
    let catalog = context.catalog.load();
    let policy = catalog
        .policy(&row.namespace, &row.policy.name)
        .filter(|policy| policy.uid().as_deref() == Some(&row.policy.uid))
        .ok_or_else(|| IssueError::Refused(format!("AccessPolicy {} is gone", row.policy.name)))?;
    if !policy.spec.credential_templates.iter().any(|offered| offered == template) {
        return Err(IssueError::Refused(format!(
            "AccessPolicy {} does not offer CredentialTemplate {template:?}: add it to spec.credentialTemplates",
            row.policy.name
        )));
    }
    let directory = context.directory.load();
    match policy::run_check(policy, run, directory.idps()).misfit {
        Some(misfit) => Err(IssueError::Refused(misfit)),
        None => Ok(()),
    }
}

async fn template(context: &Context, namespace: &str, name: &str) -> Result<CredentialTemplate, IssueError> {
    let templates: Api<CredentialTemplate> = Api::namespaced(context.cluster.direct.clone(), namespace);
    templates.get(name).await.map_err(|error| {
        if is_not_found(&error) {
            IssueError::Failed(format!("CredentialTemplate {name:?} does not exist in namespace {namespace}"))
        } else {
            IssueError::from_kubernetes(&error, "reading the CredentialTemplate")
        }
    })
}

fn lifetime(template: &CredentialTemplate) -> Duration {
    let seconds = template.spec.ttl.as_deref().and_then(|ttl| policy::parse_seconds(ttl).ok());
    seconds.map_or(DEFAULT_TTL, Duration::seconds)
}

async fn plan(
    context: &Context,
    run: &PipelineRun,
    template: &CredentialTemplate,
    namespace: &str,
    ttl: Duration,
) -> Result<(&'static str, Value), IssueError> {
    // The API server refuses it already, unless its CRDs are older or newer than we are.
    if let Some(fault) = policy::rules::credential_template(&template.spec) {
        return Err(IssueError::Failed(format!("CredentialTemplate {}: {fault}", template.name_any())));
    }
    if let Some(kubernetes) = &template.spec.kubernetes {
        let facts = context.kubernetes.plan(kubernetes, namespace).await?;
        return Ok(("kubernetes", with_life(facts.to_value(), ttl)));
    }
    if let Some(oidc) = &template.spec.oidc {
        let target = context.oidc.check(oidc, namespace).map_err(IssueError::Failed)?;
        let mut facts = OidcProvider::facts(oidc, target);
        if let Some(facts) = facts.as_object_mut() {
            let name = run.spec.pipeline_ref.as_ref().and_then(|pipeline| pipeline.name.clone());
            facts.insert("pipeline".into(), json!(name));
        }
        return Ok(("oidc", with_life(facts, ttl)));
    }
    Err(IssueError::Failed("the CredentialTemplate names no provider that is supported yet".into()))
}

async fn make(context: &Context, grant: &GrantRecord, row: &RunRecord, ttl: Duration) -> Result<Material, IssueError> {
    match grant.provider.as_str() {
        "kubernetes" => context.kubernetes.issue(grant, ttl).await,
        _ => super::renew::oidc_material(context, grant, row, ttl),
    }
}

async fn remake(
    context: &Context,
    grant: &GrantRecord,
    row: &RunRecord,
    ttl: Duration,
) -> Result<Material, IssueError> {
    match grant.provider.as_str() {
        "kubernetes" => context.kubernetes.renew(grant, ttl).await,
        _ => super::renew::oidc_material(context, grant, row, ttl),
    }
}

/// A Pending Grant that can't be issued. What was made of it already is removed by the sweep, which also finds it after
/// a crash: while we hold the issue, a revocation would wait for us.
async fn give_up(context: &Context, grant: &GrantRecord, sentence: &str) {
    if let Err(error) = context.store.fail_grant(grant.id, sentence).await {
        warn!(grant = %grant.id, %error, "can't note that the issue failed");
    }
}

/// The lifetime goes with the facts: renewal is due at two thirds of it.
fn with_life(mut facts: Value, ttl: Duration) -> Value {
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("ttlSeconds".into(), json!(ttl.num_seconds()));
    }
    facts
}

fn revoked(grant: &GrantRecord) -> String {
    match grant.reason {
        Some(reason) => format!("{}'s credential for this task was revoked: {}", grant.user_name, reason.as_str()),
        None => "this task's credential was revoked".into(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: StoreError) -> IssueError {
    IssueError::Unavailable(error.to_string())
}
