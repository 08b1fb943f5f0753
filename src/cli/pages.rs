//! Lists of any length: asked for and printed a page at a time, so that neither end holds more than one.

use std::io::{self, Write as _};

use clap::Args;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    CliError,
    client::Client,
    output::{Output, Printer, Table},
};
use crate::server::control::wire::{Listed, PAGE};

/// How much to list, and how.
#[derive(Debug, Args)]
pub(super) struct Pages {
    /// At most so many; all unless said
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    output: Output,
}

impl Pages {
    /// Prints all that a path lists under a query, as one list.
    pub(super) async fn print<T: Serialize + DeserializeOwned>(
        self,
        client: &Client,
        path: &str,
        query: &[(&str, Option<String>)],
        table: impl Fn(&[T]) -> Table,
    ) -> Result<(), CliError> {
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut printer = Printer::new(self.output);
        let mut after = None;
        loop {
            let mut query = query.to_vec();
            query.extend([("after", after), ("limit", Some(left.min(PAGE).to_string()))]);
            let Listed { mut items, next } = client.get::<Listed<T>>(&[path], &query).await?;
            items.truncate(left);
            left -= items.len();
            printer.page(&mut io::stdout().lock(), &items, &table)?;
            after = next.filter(|_| left > 0);
            if after.is_none() {
                break;
            }
        }
        let mut out = io::stdout().lock();
        printer.end(&mut out)?;
        Ok(out.flush()?)
    }
}
