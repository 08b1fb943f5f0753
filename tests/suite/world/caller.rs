//! Whoever asks the API server: kubectl in somebody's name, and what it is told.

use super::{Outcome, World, attempt, kubectl};
use crate::ensure;

/// Tekton's own controller.
pub const TEKTON: &str = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller";
/// Our own account.
pub const OURS: &str = "system:serviceaccount:scim-tekton:scim-tekton";

/// Somebody, as the flags by which kubectl speaks for them.
#[derive(Clone, Debug)]
pub struct Caller {
    flags: Vec<String>,
}

impl Caller {
    /// The cluster's admin.
    pub fn admin() -> Self {
        Self { flags: Vec::new() }
    }

    /// Whoever has this name, in whose name the cluster's admin speaks.
    pub fn named(user: &str) -> Self {
        Self { flags: vec!["--as".into(), user.into()] }
    }

    /// A new ServiceAccount with these ClusterRoles in its namespace, by a token of its own.
    pub async fn account(world: &World, namespace: &str, name: &str, roles: &[&str]) -> Outcome<Self> {
        kubectl(&["create", "serviceaccount", name, "-n", namespace]).await?;
        for role in roles {
            let (role, subject) = (format!("--clusterrole={role}"), format!("--serviceaccount={namespace}:{name}"));
            kubectl(&[
                "create",
                "rolebinding",
                &format!("{name}-{}", super::unique()),
                "-n",
                namespace,
                &role,
                &subject,
            ])
            .await?;
        }
        let token = kubectl(&["create", "token", name, "-n", namespace]).await?;
        let [server, _] = world.api_servers();
        // Without the admin's kubeconfig: its client certificate would speak louder than the token.
        let flags = [
            "--kubeconfig=/dev/null".to_owned(),
            format!("--server={server}"),
            format!("--certificate-authority={}", world.env("CLUSTER_CA")),
            format!("--token={}", token.trim()),
        ];
        Ok(Self { flags: flags.into() })
    }

    /// The same, as somebody else, if they may.
    pub fn posing_as(&self, user: &str) -> Self {
        let mut flags = self.flags.clone();
        flags.extend(["--as".into(), user.into()]);
        Self { flags }
    }

    /// Tries: `Err` is what was said to it.
    pub async fn try_to(&self, args: &[&str], input: Option<&str>) -> Outcome<Result<String, String>> {
        let all: Vec<&str> = self.flags.iter().map(String::as_str).chain(args.iter().copied()).collect();
        let (ok, out, err) = attempt("kubectl", &all, input).await?;
        Ok(if ok { Ok(out) } else { Err(format!("{err}{out}")) })
    }

    /// It may.
    pub async fn may(&self, args: &[&str], input: Option<&str>) -> Outcome<String> {
        let answer = self.try_to(args, input).await?;
        answer.map_err(|said| format!("{} was refused: {said}", args.join(" ")).into())
    }

    /// It may not, and is told this.
    pub async fn may_not(&self, args: &[&str], input: Option<&str>, told: &str) -> Outcome<String> {
        match self.try_to(args, input).await? {
            Ok(out) => Err(format!("{} was admitted: {out}\n{}", args.join(" "), input.unwrap_or_default()).into()),
            Err(said) => {
                ensure!(said.contains(told), "{} should be told {told:?}; it is told: {said}", args.join(" "));
                Ok(said)
            }
        }
    }

    /// May create this.
    pub async fn creates(&self, yaml: &str) -> Outcome<String> {
        self.may(&["create", "-o", "name", "-f", "-"], Some(yaml)).await
    }

    /// May not create this, by this policy of ours.
    pub async fn is_refused(&self, policy: &str, yaml: &str) -> Outcome<String> {
        let by = format!("ValidatingAdmissionPolicy '{policy}'");
        self.may_not(&["create", "-o", "name", "-f", "-"], Some(yaml), &by).await
    }

    /// May change this object so.
    pub async fn patches(&self, namespace: &str, object: &str, patch: &str) -> Outcome<String> {
        self.may(&["patch", object, "-n", namespace, "--type=merge", "-p", patch], None).await
    }

    /// May not change this object so, by this policy of ours.
    pub async fn patch_is_refused(&self, policy: &str, namespace: &str, object: &str, patch: &str) -> Outcome<String> {
        let by = format!("ValidatingAdmissionPolicy '{policy}'");
        self.may_not(&["patch", object, "-n", namespace, "--type=merge", "-p", patch], None, &by).await
    }

    /// What `kubectl auth can-i` says.
    pub async fn can_i(&self, args: &[&str]) -> Outcome<bool> {
        let all: Vec<&str> =
            self.flags.iter().map(String::as_str).chain(["auth", "can-i"]).chain(args.iter().copied()).collect();
        let (_, out, err) = attempt("kubectl", &all, None).await?;
        match out.trim() {
            "yes" => Ok(true),
            // With a reason, sometimes.
            no if no == "no" || no.starts_with("no - ") => Ok(false),
            _ => Err(format!("kubectl auth can-i {}: {err}{out}", args.join(" ")).into()),
        }
    }
}
