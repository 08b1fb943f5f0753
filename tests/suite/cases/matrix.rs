//! A task under a matrix has a credential for each of its combinations.

use std::{collections::BTreeSet, sync::Arc};

use kube::ResourceExt;
use scim_tekton::api::GrantPhase;

use crate::{
    ensure,
    world::{Outcome, Shop, World},
};

const FAN: &str = "  - name: credential
    matrix: {params: [{name: stage, value: [a, b]}, {name: region, value: [eu, us]}]}
    taskRef: {apiVersion: scim-tekton.dev/v1alpha1, kind: CredentialTemplate, name: deploy}
";

/// How many there are is another task's result.
const LATER: &str = "  - name: list
    taskSpec:
      results: [{name: stages, type: array}]
      steps:
      - name: say
        image: @TOOLBOX@
        script: printf '[\"a\",\"b\",\"c\"]' > $(results.stages.path)
  - name: credential
    matrix: {params: [{name: stage, value: '$(tasks.list.results.stages[*])'}]}
    taskRef: {apiVersion: scim-tekton.dev/v1alpha1, kind: CredentialTemplate, name: deploy}
";

pub async fn each_combination_of_a_matrix_has_a_grant_of_its_own(world: Arc<World>) -> Outcome {
    Shop::with(&world, "matrix", |shop| async move {
        let alice = shop.deployer("alice").await?;
        for (pipeline, tasks, count) in [("fan", FAN, 4), ("later", LATER, 3)] {
            shop.pipeline(pipeline, tasks, &[]).await?;
            let run = shop.start(&alice, pipeline).await?;
            let grants = shop.grants(&run, GrantPhase::Active, count).await?;
            ensure!(grants.len() == count, "{} Grants of {count} combinations", grants.len());
            let given = |name: &str| {
                let name = name.to_owned();
                let (shop, run) = (Arc::clone(&shop), run.clone());
                async move {
                    let custom = shop.custom_runs(&run, "credential").await?;
                    let results = custom.into_values().filter_map(|custom| custom.status).flat_map(|s| s.results);
                    Ok::<BTreeSet<_>, crate::world::Failure>(
                        results.filter(|result| result.name == name).map(|result| result.value).collect(),
                    )
                }
            };
            crate::world::eventually("each CustomRun tells its Grant", crate::world::OUR_TIME, || async {
                Ok((given("grant").await?.len() == count).then_some(()))
            })
            .await?;
            let secrets = given("secret").await?;
            let names: BTreeSet<_> = grants.iter().map(ResourceExt::name_any).collect();
            ensure!(secrets == names, "Secrets {secrets:?} of Grants {names:?}");
            shop.world.okta.deactivate(&alice).await?;
            shop.grants(&run, GrantPhase::Revoked, count).await?;
            shop.world.okta.activate(&alice).await?;
        }
        Ok(())
    })
    .await
}
