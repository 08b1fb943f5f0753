//! `users import`, `groups import`.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
};

use clap::Args;
use serde_json::Value;

use super::{
    Run,
    reader::{Place, Reader},
};
use crate::{
    cli::{CliError, client::Client, output::Output},
    identity::fold,
    scim::MembersBy,
    server::control::wire::{ImportAnswer, ImportRequest},
};

/// How much goes to the server at a time: so many resources, or so many members of groups times `MEMBERS`.
const PART: usize = 200;
/// How many members weigh as much as a resource.
const MEMBERS: usize = 50;

/// What to import.
#[derive(Debug, Args)]
pub(in crate::cli) struct Users {
    /// SCIM users as JSON lines, or a `ListResponse`; - for stdin
    file: PathBuf,
    /// The IdP whose they are; who is there already is found by externalId, else by userName
    #[arg(long)]
    idp: String,
    /// Says what would be created, changed and left, and writes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// What to import.
#[derive(Debug, Args)]
pub(in crate::cli) struct Groups {
    /// SCIM groups as JSON lines, or a `ListResponse`; - for stdin. A group that is another's member stands before it
    file: PathBuf,
    /// The IdP whose they are; one that is there already is found by externalId, else by displayName
    #[arg(long)]
    idp: String,
    /// What the file's members are named by
    #[arg(long, value_enum, default_value_t)]
    members_by: MembersBy,
    /// Says what would be created, changed and left, and writes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// What to import.
#[derive(Debug, Args)]
pub(in crate::cli) struct Agents {
    /// SCIM Agents as JSON lines, or a `ListResponse`; - for stdin. Owners are named by the ids that this server gave
    file: PathBuf,
    /// The IdP whose they are; one that is there already is found by externalId, else by agentUserName
    #[arg(long)]
    idp: String,
    /// Says what would be created, changed and left, and writes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

impl Users {
    pub(in crate::cli) async fn run(self, client: &Client) -> Result<(), CliError> {
        let to = ["idps", &self.idp, "import", "users"];
        let import = Import { client, to: &to, name: "userName", members_by: MembersBy::Id, dry_run: self.dry_run };
        import.run(self.file, self.output).await
    }
}

impl Agents {
    pub(in crate::cli) async fn run(self, client: &Client) -> Result<(), CliError> {
        let to = ["idps", &self.idp, "import", "agents"];
        let import =
            Import { client, to: &to, name: "agentUserName", members_by: MembersBy::Id, dry_run: self.dry_run };
        import.run(self.file, self.output).await
    }
}

impl Groups {
    pub(in crate::cli) async fn run(self, client: &Client) -> Result<(), CliError> {
        let to = ["idps", &self.idp, "import", "groups"];
        let (members_by, dry_run) = (self.members_by, self.dry_run);
        let import = Import { client, to: &to, name: "displayName", members_by, dry_run };
        import.run(self.file, self.output).await
    }
}

struct Import<'a> {
    client: &'a Client,
    to: &'a [&'a str],
    /// By what a resource is unique, beside its externalId.
    name: &'static str,
    members_by: MembersBy,
    dry_run: bool,
}

impl Import<'_> {
    async fn run(&self, file: PathBuf, output: Output) -> Result<(), CliError> {
        let open = Reader::open(&file);
        let mut reader = open.map_err(|source| CliError::File { path: file.display().to_string(), source })?;
        let mut run = Run::new(&file, self.dry_run)?;
        let outcome = self.all(&mut reader, &mut run).await;
        run.end(outcome, output)
    }

    async fn all(&self, reader: &mut Reader, run: &mut Run) -> Result<(), CliError> {
        let (mut seen, mut part, mut weight) = (Seen::default(), Vec::new(), 0);
        loop {
            let next = reader.next().map_err(|source| CliError::File { path: run.file.clone(), source })?;
            let end = next.is_none();
            if let Some((place, resource)) = next {
                match resource.and_then(|resource| seen.first(self.name, resource)) {
                    Ok(resource) => {
                        weight += weigh(&resource);
                        part.push((place, resource));
                    }
                    Err(why) => run.refuse(&place, &why),
                }
            }
            if weight >= PART || (end && !part.is_empty()) {
                self.send(std::mem::take(&mut part), run).await?;
                weight = 0;
                run.tell(reader.share());
            }
            if end {
                return Ok(());
            }
        }
    }

    async fn send(&self, part: Vec<(Place, Value)>, run: &mut Run) -> Result<(), CliError> {
        let (places, resources): (Vec<_>, _) = part.into_iter().unzip();
        let request = ImportRequest { resources, members_by: self.members_by, dry_run: self.dry_run };
        let answer: ImportAnswer = run.wait(self.client.post(self.to, &request)).await?;
        for (place, outcome) in places.iter().zip(&answer.outcomes) {
            run.take(place, outcome);
        }
        Ok(())
    }
}

fn weigh(resource: &Value) -> usize {
    1 + resource.get("members").and_then(Value::as_array).map_or(0, Vec::len) / MEMBERS
}

/// Who stood in the file so far. Whoever stands there twice would be changed back and forth by each run. Hashes only: a
/// million names would be more than the rest of it all.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    names: HashSet<u64>,
}

impl Seen {
    /// The resource, if neither its name nor its externalId stood there before.
    fn first(&mut self, name: &'static str, resource: Value) -> Result<Value, String> {
        let text = |key: &str| {
            let member = resource.as_object()?.iter().find(|(at, _)| at.eq_ignore_ascii_case(key));
            member?.1.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let keys = [(name, text(name).map(|name| fold(&name))), ("externalId", text("externalId"))];
        for (attribute, value) in keys {
            let Some(value) = value else { continue };
            if !self.names.insert(self.hasher.hash_one((attribute, &value))) {
                return Err(format!("expected {attribute} {value:?} once, and it stands earlier in this file"));
            }
        }
        Ok(resource)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_stands_in_a_file_twice_by_name_or_by_external_id_is_refused_the_second_time() {
        let mut seen = Seen::default();
        let mut first = |resource: Value| seen.first("userName", resource);
        assert!(first(json!({"userName": "alice", "externalId": "x"})).is_ok());
        assert!(first(json!({"userName": "x", "externalId": ""})).is_ok());
        assert!(first(json!({"userName": "bob", "externalId": ""})).is_ok());
        assert!(first(json!({"username": "ALICE"})).unwrap_err().contains("userName \"alice\" once"));
        assert!(first(json!({"userName": "carol", "externalId": "x"})).unwrap_err().contains("externalId \"x\" once"));
        assert!(first(json!({"userName": "dave", "externalId": "X"})).is_ok());
    }
}
