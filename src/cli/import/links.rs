//! `links import`.

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Run,
    lines::{self, Line, Lines},
    reader::Place,
};
use crate::{
    cli::{
        CliError,
        client::Client,
        output::{Output, say},
    },
    scim::Imported,
    server::control::wire::{ImportAnswer, LinkImport, NewLink},
};

/// How many go to the server at a time.
const PART: usize = 500;

/// What to import.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// CSV with the columns host, id, user, or JSON lines of these; - for stdin. The id is the account's number
    file: PathBuf,
    /// Imports the good lines of a file that has bad ones; else nothing of it is
    #[arg(long)]
    keep_going: bool,
    /// Says what would be created, changed and left, and writes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

impl Import {
    pub(in crate::cli) async fn run(self, client: &Client) -> Result<(), CliError> {
        let wrong = |source| CliError::File { path: self.file.display().to_string(), source };
        let text = text(&self.file).map_err(wrong)?;
        let Lines { links, bad } = lines::read(&text).map_err(|why| wrong(std::io::Error::other(why)))?;
        let mut run = Run::new(&self.file, self.dry_run)?;
        let (total, mut refused) = (links.len() + bad.len(), bad);
        let checked = check(client, &mut run, links, &mut refused).await?;
        refused.sort_unstable();
        for (line, why) in &refused {
            run.refuse(&Place::Line(*line), why);
        }
        if !refused.is_empty() && !self.keep_going {
            let bad = refused.len();
            say(&format!(
                "nothing is imported: {bad} of {total} lines can't be; mend them, or add --keep-going for the others"
            ));
            return Err(CliError::No);
        }
        if self.dry_run {
            for ((line, _), outcome) in &checked {
                run.take(&Place::Line(*line), outcome);
            }
            return run.end(Ok(()), self.output);
        }
        let links: Vec<_> = checked.into_iter().map(|(link, _)| link).collect();
        let outcome = import(client, &mut run, &links).await;
        run.end(outcome, self.output)
    }
}

fn text(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Those that the server would take, and what would become of them; what it expects of the others goes to the refused ones.
async fn check(
    client: &Client,
    run: &mut Run,
    links: Vec<Line<NewLink>>,
    refused: &mut Vec<Line<String>>,
) -> Result<Vec<(Line<NewLink>, Imported)>, CliError> {
    let mut good = Vec::new();
    // A person has one account at a host, whether a line calls them by name or by id.
    let mut people = HashMap::new();
    for part in links.chunks(PART) {
        let outcomes = send(client, run, part, true).await?;
        for ((number, link), outcome) in part.iter().zip(outcomes) {
            let user = match outcome {
                Imported::Created(user) | Imported::Changed(user) | Imported::Unchanged(user) => user,
                Imported::Refused(ref why) => {
                    refused.push((*number, why.clone()));
                    continue;
                }
            };
            let NewLink { host, user: name, .. } = link;
            match people.insert((host.clone(), user), *number) {
                Some(before) => {
                    let why = format!("expected one account of {name} at {host}, and another stands on line {before}");
                    refused.push((*number, why));
                }
                None => good.push(((*number, link.clone()), outcome)),
            }
        }
    }
    Ok(good)
}

#[expect(clippy::cast_precision_loss, reason = "a number to look at")]
async fn import(client: &Client, run: &mut Run, links: &[Line<NewLink>]) -> Result<(), CliError> {
    let mut done = 0;
    for part in links.chunks(PART) {
        let outcomes = send(client, run, part, false).await?;
        for ((line, _), outcome) in part.iter().zip(&outcomes) {
            run.take(&Place::Line(*line), outcome);
        }
        done += part.len();
        run.tell(Some(done as f64 / links.len() as f64));
    }
    Ok(())
}

async fn send(client: &Client, run: &mut Run, part: &[Line<NewLink>], check: bool) -> Result<Vec<Imported>, CliError> {
    let links = part.iter().map(|(_, link)| link.clone()).collect();
    let answer: ImportAnswer = run.wait(client.post(&["links", "import"], &LinkImport { links, check })).await?;
    Ok(answer.outcomes)
}
