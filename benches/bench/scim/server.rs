//! The servers: ours, durable on disk, and the peers, which keep all in memory.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use super::wire::Wire;
use crate::world::{Outcome, free_port, release_binary};

/// Where the results are; the peers are installed beside them, and our store is on the same disk.
const FOLDER: &str = "target/bench";
const TOKEN: &str = "bench";
/// An interpreter is slow to start on a busy machine, and so are we with a million users.
const START: Duration = Duration::from_mins(2);

/// A server that runs, until it is dropped.
pub struct Server {
    pub name: &'static str,
    /// Before `/Users`.
    base: &'static str,
    port: u16,
    token: String,
    child: Child,
    /// From its start to its first answer.
    pub ready_after: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    async fn start(name: &'static str, base: &'static str, port: u16, mut command: Command) -> Outcome<Self> {
        let begun = Instant::now();
        let log = fs::File::create(format!("{FOLDER}/{name}.log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.map_err(|error| format!("{name}: {error} (`make bench` installs the peers)"))?;
        let mut this = Self { name, base, port, token: TOKEN.into(), child, ready_after: Duration::ZERO };
        while this.wire().call("GET", &this.path("/ServiceProviderConfig"), "").await.is_err() {
            if this.child.try_wait()?.is_some() || begun.elapsed() > START {
                return Err(format!("{name} does not start: see {FOLDER}/{name}.log").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        this.ready_after = begun.elapsed();
        Ok(this)
    }

    /// A connection to it.
    pub fn wire(&self) -> Wire {
        Wire::to(self.port, &self.token)
    }

    /// A path of it.
    pub fn path(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.base)
    }

    /// Its resident memory, MiB.
    pub fn memory(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

/// Our store and configuration: it outlives the process that serves it.
pub struct Ours {
    folder: TempDir,
    port: u16,
    token: String,
}

impl Ours {
    /// With a store of nobody: a file, or a PostgreSQL that is empty.
    pub async fn new(postgres: Option<&str>) -> Outcome<(Self, Server)> {
        fs::create_dir_all(FOLDER)?;
        let folder = TempDir::with_prefix_in("scim-", fs::canonicalize(FOLDER)?)?;
        let (port, place) = (free_port()?, folder.path());
        let config = json!({
            "store": postgres.map_or_else(|| format!("sqlite://{}", place.join("store.db").display()), str::to_owned),
            "externalUrl": format!("http://127.0.0.1:{port}"),
            "components": ["scim"],
            "kubernetes": {"enabled": false},
            "scim": {"requestsPerSecond": 0},
            "log": {"filter": "warn"},
            "listen": {
                "http": format!("127.0.0.1:{port}"), "admin": format!("127.0.0.1:{}", free_port()?),
                "control": place.join("control"),
            },
        });
        fs::write(place.join("config.yaml"), config.to_string())?;
        let mut this = Self { folder, port, token: String::new() };
        let mut server = this.serve().await?;
        let made = this.command().args(["idp", "token", "create", "okta"]).output()?;
        String::from_utf8(made.stdout)?.trim().clone_into(&mut this.token);
        if this.token.is_empty() {
            return Err(String::from_utf8_lossy(&made.stderr).into());
        }
        server.token.clone_from(&this.token);
        Ok((this, server))
    }

    /// Serves it.
    pub async fn serve(&self) -> Outcome<Server> {
        let mut command = self.command();
        command.arg("serve");
        let mut server = Server::start("scim-tekton", "/scim/v2", self.port, command).await?;
        server.token.clone_from(&self.token);
        Ok(server)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(release_binary());
        command.arg("--config").arg(self.folder.path().join("config.yaml"));
        command
    }

    /// Where the store is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// SCIMMY behind express (Node).
pub async fn scimmy() -> Outcome<Server> {
    let port = free_port()?;
    let mut command = Command::new("node");
    command.arg(format!("{FOLDER}/peers/scimmy.mjs")).args([&port.to_string(), TOKEN]);
    Server::start("SCIMMY", "/scim/v2", port, command).await
}

/// scim2-server (Python).
pub async fn scim2_server() -> Outcome<Server> {
    let port = free_port()?;
    let mut command = Command::new(format!("{FOLDER}/peers/bin/scim2-server"));
    command.args(["--port", &port.to_string(), "--bearer-token", TOKEN]);
    Server::start("scim2-server", "", port, command).await
}
