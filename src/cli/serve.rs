//! `serve`: runs the server.

use clap::Args;

use super::CliError;
use crate::{
    config::{Component, Config},
    server,
};

/// Runs the server.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// What to run; default: all
    #[arg(long, value_enum, value_delimiter = ',')]
    components: Vec<Component>,
}

impl Serve {
    pub(super) async fn run(self, mut config: Config) -> Result<(), CliError> {
        if !self.components.is_empty() {
            config.components = self.components.into_iter().collect();
        }
        // Takes FAILPOINTS from the environment; a build without the feature has nothing to set up.
        #[cfg(feature = "failpoints")]
        let _scenario = fail::FailScenario::setup();
        Ok(server::serve(config).await?)
    }
}
