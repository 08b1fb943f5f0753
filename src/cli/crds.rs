//! `crds`: prints the custom resource definitions, from which `config/300-crds.yaml` is made.

use std::io::Write as _;

use super::CliError;

pub(super) fn run() -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    for crd in crate::api::crds() {
        let yaml =
            serde_saphyr::to_string(&crd).map_err(|error| CliError::Format("a definition", error.to_string()))?;
        writeln!(out, "---\n{}", yaml.trim_end())?;
    }
    Ok(out.flush()?)
}
