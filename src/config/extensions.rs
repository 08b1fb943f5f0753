//! Extensions of the configuration become schemas: read, checked, and told by their key what is wrong with them.

use super::{Config, ConfigError, Extension};
use crate::identity::schema::Custom;

impl Config {
    /// The extensions. Files are read now; the memory is never given back, so once a process is enough.
    pub fn extensions(&self) -> Result<Vec<Custom>, ConfigError> {
        let wrong = |index: usize| move |error| ConfigError::invalid(key(index), error);
        let all = self.scim.extensions.iter().enumerate();
        all.map(|(index, extension)| extension.read().map_err(wrong(index))).collect()
    }

    /// Takes them into the table of schemas.
    pub fn install_extensions(&self) -> Result<(), ConfigError> {
        let install = crate::identity::schema::install(&self.extensions()?);
        install.map_err(|(index, error)| ConfigError::invalid(key(index), error))
    }
}

impl Extension {
    fn read(&self) -> Result<Custom, String> {
        let json = match (&self.schema, &self.file) {
            (Some(schema), None) => schema.clone(),
            (None, Some(file)) => {
                let wrong = |error: &dyn std::fmt::Display| format!("{} can't be read: {error}", file.display());
                let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
                serde_json::from_str(&text).map_err(|error| wrong(&error))?
            }
            _ => return Err("expected exactly one of schema, file".into()),
        };
        Custom::read(self.resource_type.into(), &json)
    }
}

fn key(index: usize) -> String {
    format!("scim.extensions.{index}")
}
