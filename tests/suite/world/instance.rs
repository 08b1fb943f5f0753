//! Our instance, as it is installed from `config/`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::{Api, Client};
use scim_tekton::api::tekton::ClusterInterceptor;
use serde_json::Value;

use super::{Outcome, run};

/// The installed instance.
pub struct Instance {
    /// Where SCIM and the issuer are.
    pub url: String,
    /// Where the interceptor is.
    pub interceptor: String,
    /// Our CA, PEM.
    pub ca: String,
}

impl Instance {
    /// From what stands in the cluster: the CA is the ClusterInterceptor's bundle, as the EventListeners see it.
    pub async fn installed(kube: &Client) -> Outcome<Self> {
        let interceptor = Api::<ClusterInterceptor>::all(kube.clone())
            .get("scim")
            .await
            .map_err(|error| format!("ClusterInterceptor scim: {error}: `make install` installs ours"))?;
        let bundle = interceptor.spec.client_config.ca_bundle.ok_or("the ClusterInterceptor has no caBundle")?;
        Ok(Self {
            url: "https://scim-tekton.scim-tekton.svc".into(),
            interceptor: "https://scim-tekton-interceptor.scim-tekton.svc:8443".into(),
            ca: String::from_utf8(BASE64_STANDARD.decode(bundle)?)?,
        })
    }

    /// A client that trusts our CA.
    pub fn client(&self) -> Outcome<reqwest::Client> {
        Ok(reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(self.ca.as_bytes())?])
            .timeout(std::time::Duration::from_secs(30))
            .build()?)
    }

    /// Our own command line, inside the installed pod.
    pub async fn cli(&self, args: &[&str]) -> Outcome<String> {
        run("kubectl", &Self::exec(args), None).await
    }

    /// The same, its output as JSON.
    pub async fn cli_json(&self, args: &[&str]) -> Outcome<Value> {
        let mut all = args.to_vec();
        all.extend(["-o", "json"]);
        Ok(serde_json::from_str(&self.cli(&all).await?)?)
    }

    fn exec<'a>(args: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["exec", "-n", "scim-tekton", "deploy/scim-tekton", "--", "scim-tekton"];
        all.extend(args);
        all
    }

    /// What the admin listener answers.
    pub async fn admin(&self, path: &str) -> Outcome<String> {
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
