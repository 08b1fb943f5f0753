//! Our instance: as it is installed from `config/`, or a process of the suite's own beside it.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::{Api, Client};
use scim_tekton::api::tekton::ClusterInterceptor;
use serde_json::Value;

use super::{CHAOS, OUR_TIME, Outcome, Process, attempt, eventually, run};

/// An instance.
pub struct Instance {
    /// Name of its ClusterInterceptor.
    pub name: &'static str,
    /// Where SCIM and the issuer are.
    pub url: String,
    /// Where the interceptor is.
    pub interceptor: String,
    /// Our CA, PEM.
    pub ca: String,
    /// Where it is a process of the suite's own.
    pub process: Option<Arc<Process>>,
}

impl Instance {
    /// The installed one.
    pub async fn installed(kube: &Client) -> Outcome<Self> {
        Ok(Self {
            name: "scim",
            url: "https://scim-tekton.scim-tekton.svc".into(),
            interceptor: "https://scim-tekton-interceptor.scim-tekton.svc:8443".into(),
            ca: ca(kube, "scim").await.map_err(|error| format!("{error}: `make install` installs ours"))?,
            process: None,
        })
    }

    /// The suite's own, which has started.
    pub async fn own(kube: &Client, process: &Arc<Process>) -> Outcome<Self> {
        Ok(Self {
            name: CHAOS,
            url: Process::url(),
            interceptor: Process::interceptor(),
            // Made by the process a moment after it is ready.
            ca: eventually("its ClusterInterceptor", OUR_TIME, || async { ca(kube, CHAOS).await.map(Some) }).await?,
            process: Some(Arc::clone(process)),
        })
    }

    /// A client that trusts our CA.
    pub fn client(&self) -> Outcome<reqwest::Client> {
        Ok(reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(self.ca.as_bytes())?])
            .timeout(std::time::Duration::from_secs(30))
            .build()?)
    }

    /// Our own command line: inside the installed pod, or beside the process.
    pub async fn cli(&self, args: &[&str]) -> Outcome<String> {
        let (program, args) = self.command(args);
        run(&program, &args.iter().map(String::as_str).collect::<Vec<_>>(), None).await
    }

    fn command(&self, args: &[&str]) -> (String, Vec<String>) {
        const IN_THE_POD: [&str; 6] = ["exec", "-n", "scim-tekton", "deploy/scim-tekton", "--", "scim-tekton"];
        let (program, mut all) = match &self.process {
            Some(process) => process.program(),
            None => ("kubectl".to_owned(), IN_THE_POD.map(str::to_owned).into()),
        };
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        (program, all)
    }

    /// The same, its output as JSON.
    pub async fn cli_json(&self, args: &[&str]) -> Outcome<Value> {
        let mut all = args.to_vec();
        all.extend(["-o", "json"]);
        Ok(serde_json::from_str(&self.cli(&all).await?)?)
    }

    /// What `doctor` finds, and whether it says by its exit code that nothing fails.
    pub async fn checkup(&self) -> Outcome<(bool, Value)> {
        let (program, args) = self.command(&["doctor", "-o", "json"]);
        let (well, out, err) = attempt(&program, &args.iter().map(String::as_str).collect::<Vec<_>>(), None).await?;
        let checkup = serde_json::from_str(&out).map_err(|error| format!("doctor: {error}: {err}{out}"))?;
        Ok((well, checkup))
    }

    /// What the admin listener answers.
    pub async fn admin(&self, path: &str) -> Outcome<String> {
        if self.process.is_some() {
            return Process::admin(path).await;
        }
        let path = format!("/api/v1/namespaces/scim-tekton/services/scim-tekton:admin/proxy/{path}");
        run("kubectl", &["get", "--raw", &path], None).await
    }

    /// The metric of this name and labels, summed; 0 if there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Outcome<f64> {
        let text = self.admin("metrics").await?;
        Ok(text
            .lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter(|line| labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\""))))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}

/// The CA is the ClusterInterceptor's bundle, as the EventListeners see it.
async fn ca(kube: &Client, name: &str) -> Outcome<String> {
    let found = Api::<ClusterInterceptor>::all(kube.clone()).get(name).await;
    let interceptor = found.map_err(|error| format!("ClusterInterceptor {name}: {error}"))?;
    let bundle = interceptor.spec.client_config.ca_bundle.ok_or("the ClusterInterceptor has no caBundle")?;
    Ok(String::from_utf8(BASE64_STANDARD.decode(bundle)?)?)
}
