//! Our program as a process of the suite's own, inside the node's namespaces: a second instance beside the installed one,
//! with a store, a selector and a ClusterInterceptor of its own. It can be held at a failpoint, killed and started again.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{OUR_TIME, Outcome, apply, attempt, eventually, failpoints_binary, kubectl};
use crate::ensure;

/// Name of its ClusterInterceptor, and value of the label on its namespaces.
pub const CHAOS: &str = "scim-chaos";
/// The label of the namespaces that are its own; the installed instance leaves them alone.
pub const INSTANCE_OF_NAMESPACE: &str = "suite.scim-tekton.dev/instance";
const HTTP: u16 = 18080;
const INTERCEPTOR: u16 = 18443;
const ADMIN: u16 = 19090;

/// The process.
pub struct Process {
    folder: TempDir,
    binary: String,
    control: reqwest::Client,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Prepares it, with the failpoints' binary and the account of the installed instance.
    pub async fn prepare(cluster_ca: &str) -> Outcome<Self> {
        let binary = failpoints_binary()?;
        let folder = TempDir::with_prefix("scim-tekton-chaos-")?;
        apply(RIGHTS).await?;
        // Its store is a new one each time, which it would else take for one that was put there by hand.
        let forget = format!("{{\"data\":{{\"{CHAOS}\":null}}}}");
        let mark = ["patch", "secret", "scim-tekton-high-water", "-n", "scim-tekton", "--type=merge", "-p", &forget];
        let (known, _, said) = attempt("kubectl", &mark, None).await?;
        ensure!(known || said.contains("NotFound"), "{said}");
        let token = kubectl(&["create", "token", "scim-tekton", "-n", "scim-tekton", "--duration=24h"]).await?;
        let cluster = json!({"server": "https://kubernetes.default.svc", "certificate-authority": cluster_ca});
        let ours = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "ours",
            "clusters": [{"name": "this", "cluster": cluster}],
            "users": [{"name": "ours", "user": {"token": token.trim()}}],
            "contexts": [{"name": "ours", "context": {"cluster": "this", "user": "ours"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), ours.to_string())?;
        let mut config: Value = serde_saphyr::from_str(include_str!("../config.yaml"))?;
        let at = |port: u16| format!("127.0.0.1:{port}");
        let place = folder.path().display();
        config["store"] = json!(format!("sqlite://{place}/store.db"));
        config["externalUrl"] = json!(format!("https://{}", at(HTTP)));
        config["listen"] = json!({
            "http": at(HTTP), "interceptor": at(INTERCEPTOR), "admin": at(ADMIN), "tls": true,
            "control": format!("{place}/control"),
        });
        config["clusterInterceptor"] = json!({"name": CHAOS, "url": format!("https://{}", at(INTERCEPTOR))});
        config["controller"] = json!({"namespaceSelector": format!("{INSTANCE_OF_NAMESPACE}={CHAOS}")});
        config["issuer"] = json!({});
        std::fs::write(folder.path().join("config.yaml"), config.to_string())?;
        let control = reqwest::Client::builder()
            .unix_socket(folder.path().join("control"))
            .tls_certs_only([])
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { folder, binary, control, child: Mutex::default() })
    }

    /// Where SCIM is.
    pub fn url() -> String {
        format!("https://127.0.0.1:{HTTP}")
    }

    /// Where the interceptor is.
    pub fn interceptor() -> String {
        format!("https://127.0.0.1:{INTERCEPTOR}")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it; returns when it is ready and its interceptor is known.
    pub async fn start(&self) -> Outcome {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.file("log"))?;
        let child = Command::new(&self.binary)
            .args(["--config", &self.file("config.yaml").display().to_string(), "serve"])
            .env("KUBECONFIG", self.file("kubeconfig"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        eventually("the suite's own instance is ready", OUR_TIME, || async {
            if !self.is_running() {
                return Err(format!("it has ended:\n{}", self.log_end()).into());
            }
            let ready = reqwest::get(format!("http://127.0.0.1:{ADMIN}/readyz")).await?;
            Ok(ready.status().is_success().then_some(()))
        })
        .await
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL: nothing is finished, nothing is said.
    pub fn kill(&self) -> Outcome {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut child = child.ok_or("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Our command line against it: the program, and its first arguments.
    pub fn program(&self) -> (String, Vec<String>) {
        (self.binary.clone(), vec!["--config".into(), self.file("config.yaml").display().to_string()])
    }

    /// What its admin listener answers.
    pub async fn admin(path: &str) -> Outcome<String> {
        Ok(reqwest::get(format!("http://127.0.0.1:{ADMIN}/{path}")).await?.text().await?)
    }

    /// The end of its log.
    pub fn log_end(&self) -> String {
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The first that comes to this failpoint is held there.
    pub async fn arm(&self, failpoint: &str) -> Outcome {
        self.ask(Method::PUT, &format!("/failpoints/{failpoint}")).await.map(drop)
    }

    /// Whoever is held there goes on.
    pub async fn let_go(&self, failpoint: &str) -> Outcome {
        self.ask(Method::DELETE, &format!("/failpoints/{failpoint}")).await.map(drop)
    }

    /// Whoever comes to this failpoint fails there, until it is let go.
    pub async fn fail_at(&self, failpoint: &str) -> Outcome {
        self.ask(Method::PUT, &format!("/failpoints/{failpoint}/return")).await.map(drop)
    }

    /// Waits until somebody has come to this failpoint since it was armed.
    pub async fn reached(&self, failpoint: &str) -> Outcome {
        eventually(&format!("somebody comes to {failpoint}"), OUR_TIME, || async {
            let reached = self.ask(Method::GET, "/failpoints").await?;
            Ok((reached[failpoint].as_u64() > Some(0)).then_some(()))
        })
        .await
    }

    /// Puts its clock ahead of ours; behind, if negative.
    pub async fn ahead(&self, seconds: i32) -> Outcome {
        self.ask(Method::PUT, &format!("/clock/{seconds}")).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str) -> Outcome<Value> {
        let response = self.control.request(method, format!("http://localhost/v1{path}")).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// Ends it and takes out of the cluster what is its own.
    pub async fn remove(&self) {
        let _ = self.kill();
        for what in ["clusterinterceptor", "clusterrole", "clusterrolebinding"] {
            let _ = kubectl(&["delete", what, CHAOS, "--ignore-not-found"]).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The installed account may also make the ClusterInterceptor of this instance.
const RIGHTS: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scim-chaos}
rules:
- {apiGroups: [triggers.tekton.dev], resources: [clusterinterceptors], resourceNames: [scim-chaos], verbs: [get, create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scim-chaos}
subjects: [{kind: ServiceAccount, name: scim-tekton, namespace: scim-tekton}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scim-chaos}
";
