//! What we find out about CredentialTemplates: whether a credential could be issued now. Nothing rests on it: each
//! issue looks for itself.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt as _, runtime::controller::Action};

use super::{
    Context, ControllerError,
    status::{self, Finding},
};
use crate::{
    api::{CredentialTemplate, CredentialTemplateStatus},
    credential::IssueError,
    policy::rules,
};

/// How often a template is looked at without a change of its own: roles come and go.
const LOOK: Duration = Duration::from_mins(1);
/// How often while it waits for something that is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Looks at one template.
pub async fn reconcile(template: Arc<CredentialTemplate>, context: Arc<Context>) -> Result<Action, ControllerError> {
    let namespace = template.namespace().unwrap_or_default();
    let selected = context.namespaces.selects(&namespace).await;
    if !selected.map_err(ControllerError::kubernetes("looking whether the namespace is ours"))? {
        return Ok(Action::await_change());
    }
    let found = Finding::ready(look(&template, &namespace, &context).await?);
    let ready = found.holds;
    let was = template.status.as_ref();
    let conditions = was.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let generation = template.metadata.generation;
    let status = CredentialTemplateStatus {
        conditions: status::conditions(conditions, vec![found], generation, (context.clock)()),
        observed_generation: generation,
    };
    if was != Some(&status) {
        status::write(context.cluster.patient.clone(), &*template, &status).await?;
    }
    Ok(Action::requeue(if ready { LOOK } else { LOOK_AGAIN }))
}

type Checked = Result<(), (&'static str, String)>;

async fn look(template: &CredentialTemplate, namespace: &str, context: &Context) -> Result<Checked, ControllerError> {
    let spec = &template.spec;
    if let Some(fault) = rules::credential_template(spec) {
        return Ok(Err(("NotHonoured", fault.into())));
    }
    if let Some(oidc) = &spec.oidc {
        let checked = context.oidc.check(oidc, namespace);
        return Ok(checked.map(|_| ()).map_err(|why| ("TargetRefused", why)));
    }
    let Some(kubernetes) = &spec.kubernetes else { return Ok(Ok(())) };
    match context.kubernetes.plan(kubernetes, namespace).await {
        Ok(_) => Ok(Ok(())),
        Err(IssueError::Refused(why) | IssueError::Failed(why)) => Ok(Err(("RoleMissing", why))),
        // Of an API server that doesn't answer nothing is said about the template.
        Err(error) => Err(ControllerError::Later(error.to_string())),
    }
}
