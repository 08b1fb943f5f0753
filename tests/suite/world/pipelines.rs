//! Pipelines of one test's own.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use scim_tekton::api::tekton::CustomRun;
use serde_json::json;

use super::{OUR_TIME, Outcome, POD_TIME, Shop, apply, eventually, kubectl};

/// A task that nobody answers: it holds a run open.
const HOLD: &str = "  - name: hold
    taskRef: {apiVersion: example.com/v1, kind: NobodyAnswers, name: hold}
";

impl Shop {
    /// Makes a pipeline of these tasks (YAML, in a list), held open at its end, which the team's policy lets start and
    /// offers these templates.
    pub async fn pipeline(&self, name: &str, tasks: &str, templates: &[&str]) -> Outcome {
        let head = format!("apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {{name: {name}, namespace: @NS@}}\n");
        apply(&self.fill(&format!("{head}spec:\n  tasks:\n{tasks}{HOLD}"))).await?;
        let add = |path: &str, value| json!({"op": "add", "path": format!("/spec/{path}/-"), "value": value});
        let mut patch = vec![add("pipelines", json!({"name": name}))];
        patch.extend(templates.iter().map(|template| add("credentialTemplates", json!(template))));
        let patch = serde_json::Value::from(patch).to_string();
        kubectl(&["patch", "accesspolicy", "deploy", "-n", &self.namespace, "--type=json", "-p", &patch]).await?;
        self.trigger(name).await
    }

    /// The CustomRuns that Tekton made of a run's task, by name.
    pub async fn custom_runs(&self, run: &str, task: &str) -> Outcome<BTreeMap<String, CustomRun>> {
        let of_task = format!("tekton.dev/pipelineRun={run},tekton.dev/pipelineTask={task}");
        let api: kube::Api<CustomRun> = kube::Api::namespaced(self.world.kube.clone(), &self.namespace);
        let found = api.list(&kube::api::ListParams::default().labels(&of_task)).await?;
        Ok(found.into_iter().map(|custom| (custom.name_any(), custom)).collect())
    }

    /// Waits until the CustomRun of a run's task is as it should be.
    pub async fn custom_run(
        &self,
        run: &str,
        task: &str,
        what: &str,
        is_so: impl Fn(&CustomRun) -> bool,
    ) -> Outcome<CustomRun> {
        eventually(&format!("{task} of {run} {what}"), POD_TIME.max(OUR_TIME), || async {
            let found = self.custom_runs(run, task).await?.into_values().next();
            match found {
                Some(custom) if is_so(&custom) => Ok(Some(custom)),
                Some(custom) => Err(format!("{:?}", custom.status).into()),
                None => Ok(None),
            }
        })
        .await
    }
}
