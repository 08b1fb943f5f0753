//! The release binary alone, without a cluster: a store of its own, and free ports.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Disk, Idp, OUR_TIME, Outcome, eventually, free_port, release_binary};
use crate::ensure;

/// A server of its own. It ends with this.
pub struct Alone {
    folder: TempDir,
    http: u16,
    /// Where its interceptor listens.
    pub interceptor: u16,
    admin: u16,
    server: Option<Child>,
    /// What lies between it and its store, while it does.
    pub disk: Option<Disk>,
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Alone {
    /// Starts one, with more configuration than where everything is. Returns when it is ready.
    pub async fn start(more: Value) -> Outcome<Self> {
        let mut alone = Self::prepare(&more)?;
        alone.serve().await?;
        Ok(alone)
    }

    /// The same, on a disk that can lose its power.
    pub async fn start_on_a_disk(more: Value) -> Outcome<Self> {
        let mut alone = Self::prepare(&more)?;
        alone.disk = Some(Disk::below(&alone.store_folder())?);
        alone.serve().await?;
        Ok(alone)
    }

    fn prepare(more: &Value) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let (http, interceptor, admin) = (free_port()?, free_port()?, free_port()?);
        let at = |port: u16| format!("127.0.0.1:{port}");
        let mut config = json!({
            "store": format!("sqlite://{}/store/store.db", folder.path().display()),
            "kubernetes": {"enabled": false},
            "listen": {
                "http": at(http), "interceptor": at(interceptor), "admin": at(admin),
                "control": folder.path().join("control"),
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        std::fs::write(folder.path().join("config.yaml"), config.to_string())?;
        Ok(Self { folder, http, interceptor, admin, server: None, disk: None })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its store and its keys are, and nothing else.
    pub fn store_folder(&self) -> PathBuf {
        self.folder().join("store")
    }

    /// Serves its store, again if it was killed.
    pub async fn serve(&mut self) -> Outcome {
        let binary = release_binary();
        ensure!(Path::new(&binary).exists(), "{binary}: no such file; `make build` makes it");
        let log: File = OpenOptions::new().create(true).append(true).open(self.folder().join("log"))?;
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(self.folder().join("config.yaml"));
        if let Some(disk) = &self.disk {
            disk.beneath(&mut command);
        }
        self.server = Some(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        let ready = format!("http://127.0.0.1:{}/readyz", self.admin);
        let waited = eventually("the server is ready", OUR_TIME, || async {
            Ok(reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        });
        if let Err(error) = waited.await {
            let log = std::fs::read_to_string(self.folder().join("log")).unwrap_or_default();
            return Err(format!("{error}\n{log}").into());
        }
        Ok(())
    }

    /// SIGKILL: nothing is finished.
    pub fn kill(&mut self) -> Outcome {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }

    /// Our command line against it.
    pub async fn cli(&self, args: &[&str]) -> Outcome<String> {
        let config = self.folder().join("config.yaml").display().to_string();
        let mut all = args.to_vec();
        all.extend(["--config", &config]);
        super::run(&release_binary(), &all, None).await
    }

    /// An identity provider of it, with a new token.
    pub async fn idp(&self, name: &str) -> Outcome<Idp> {
        let token = self.cli(&["idp", "token", "create", name]).await?.trim().to_owned();
        Ok(Idp::with_token(&format!("http://127.0.0.1:{}", self.http), token, reqwest::Client::new()))
    }
}
