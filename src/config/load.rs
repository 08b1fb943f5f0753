//! File and environment become one configuration, and what can't be is said with the key's name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::{Map, Value};

use super::{Config, ScimMode, keys};

/// What our environment variables begin with.
pub(super) const PREFIX: &str = "SCIM_TEKTON_";

/// Names the file itself; read by the command line.
const CONFIG_VARIABLE: &str = "SCIM_TEKTON_CONFIG";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration {path:?} can't be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no YAML, or a value is none of those expected.
    #[error("the configuration {file} is wrong: {message}")]
    File {
        /// Which.
        file: String,
        /// With line and column.
        message: String,
    },
    /// A key that does not exist.
    #[error("the configuration {file} has an unknown key `{key}`; the nearest known one is `{nearest}`")]
    UnknownKey {
        /// Which file.
        file: String,
        /// Its full path.
        key: String,
        /// What may have been meant.
        nearest: String,
    },
    /// An environment variable of ours that does not exist.
    #[error("the environment has an unknown variable {name}; the nearest known one is {nearest}")]
    UnknownVariable {
        /// Which.
        name: String,
        /// What may have been meant.
        nearest: String,
    },
    /// An environment variable whose value is none of those expected.
    #[error("the environment variable {name} is wrong: {message}")]
    Variable {
        /// Which.
        name: String,
        /// What was expected.
        message: String,
    },
    /// A value that contradicts another one, or can't be used.
    #[error("the configuration's `{key}` is wrong: {message}")]
    Invalid {
        /// Its full path.
        key: String,
        /// What was expected.
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn invalid(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { key: key.into(), message: message.into() }
    }
}

/// The file's text and the environment, as one. `file` is its name for messages.
pub(super) fn from_parts(file: &str, yaml: &str, env: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
    let mut tree = read_file(file, yaml)?;
    overlay(&mut tree, env)?;
    let mut config: Config = parse(&tree).map_err(|message| ConfigError::File { file: file.to_owned(), message })?;
    if tree.get("installNamespace").is_none()
        && let Some(namespace) = env.get("POD_NAMESPACE").filter(|namespace| !namespace.is_empty())
    {
        config.install_namespace.clone_from(namespace);
    }
    unknown_variables(&config, env)?;
    check(&config)?;
    Ok(config)
}

fn read_file(file: &str, yaml: &str) -> Result<Value, ConfigError> {
    let wrong = |error: serde_saphyr::Error| ConfigError::File { file: file.to_owned(), message: error.to_string() };
    let tree: Option<Value> = serde_saphyr::from_str(yaml).map_err(wrong)?;
    let tree = match tree {
        None | Some(Value::Null) => return Ok(Value::Object(Map::new())),
        Some(tree) => tree,
    };
    let mut unknown = None;
    let read = serde_ignored::deserialize(&tree, |path| {
        unknown.get_or_insert_with(|| path.to_string());
    });
    if let Some(key) = unknown {
        let nearest = keys::nearest_key(&key).unwrap_or_default();
        return Err(ConfigError::UnknownKey { file: file.to_owned(), key, nearest });
    }
    let read: Result<Config, serde_json::Error> = read;
    if let Err(error) = &read {
        // Read again from the text: that error has line and column.
        serde_saphyr::from_str::<Config>(yaml).map_err(wrong)?;
        return Err(ConfigError::File { file: file.to_owned(), message: error.to_string() });
    }
    if read.is_ok_and(|config| config.store.has_password()) {
        let message = "expected no password in a file that is no secret: set SCIM_TEKTON_STORE to the whole URL, from a \
                       Secret";
        return Err(ConfigError::invalid("store", message));
    }
    Ok(tree)
}

fn overlay(tree: &mut Value, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    for key in keys::all() {
        let Some((name, text)) = keys::variable(&key).and_then(|name| env.get_key_value(&name)) else { continue };
        let wrong = |message: String| ConfigError::Variable { name: name.clone(), message };
        put(tree, &key.path, read_variable(key.shape, text).map_err(wrong)?);
        // Tried one by one, so that the message names the variable.
        parse(tree).map_err(wrong)?;
    }
    Ok(())
}

fn read_variable(shape: keys::Shape, text: &str) -> Result<Value, String> {
    match shape {
        keys::Shape::Text | keys::Shape::Section => Ok(Value::String(text.to_owned())),
        keys::Shape::List if !text.trim_start().starts_with('[') => Ok(text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| Value::String(item.to_owned()))
            .collect()),
        _ => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
    }
}

fn put(tree: &mut Value, path: &str, value: Value) {
    let mut at = tree;
    for part in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Some(map) = at.as_object_mut() else { return };
        at = map.entry(part).or_insert(Value::Null);
    }
    *at = value;
}

fn parse(tree: &Value) -> Result<Config, String> {
    let mut unknown = None;
    let config = serde_ignored::deserialize(tree, |path| {
        unknown.get_or_insert_with(|| path.to_string());
    });
    match unknown {
        Some(key) => Err(format!(
            "unknown key `{key}`; the nearest known one is `{}`",
            keys::nearest_key(&key).unwrap_or_default()
        )),
        None => config.map_err(|error: serde_json::Error| error.to_string()),
    }
}

/// A slip in a variable's name must not go unnoticed. What Kubernetes itself sets in every pod of a namespace that has
/// a Service named `scim-tekton` looks like ours and is not.
fn unknown_variables(config: &Config, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let known: BTreeSet<String> = keys::all().iter().filter_map(keys::variable).collect();
    let secrets: BTreeSet<&str> =
        config.issuer.clients.iter().filter_map(|client| client.secret_env.as_deref()).collect();
    let unknown = env.keys().find(|name| {
        name.starts_with(PREFIX)
            && *name != CONFIG_VARIABLE
            && !known.contains(*name)
            && !secrets.contains(name.as_str())
            && !is_service_link(name)
    });
    match unknown {
        None => Ok(()),
        Some(name) => Err(ConfigError::UnknownVariable {
            name: name.clone(),
            nearest: keys::nearest(name, known.iter().map(String::as_str)).unwrap_or_default().to_owned(),
        }),
    }
}

/// `…_SERVICE_HOST`, `…_SERVICE_PORT[_NAME]`, `…_PORT`, `…_PORT_443_TCP[_ADDR]`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
fn is_service_link(name: &str) -> bool {
    let name = name.strip_prefix("SCIM_TEKTON").unwrap_or(name);
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.split_once("_PORT_").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn check(config: &Config) -> Result<(), ConfigError> {
    if config.components.is_empty() {
        return Err(ConfigError::invalid(
            "components",
            "expected at least one of scim, interceptor, issuer, controller",
        ));
    }
    if config.ticket.ttl.get().is_zero() {
        return Err(ConfigError::invalid("ticket.ttl", "expected more than 0s"));
    }
    super::limits::check(&config.scim)?;
    let mut names = BTreeSet::new();
    for (index, idp) in config.idps.iter().enumerate() {
        if !names.insert(&idp.name) {
            return Err(ConfigError::invalid(format!("idps.{index}.name"), format!("{} stands there twice", idp.name)));
        }
        if idp.scim.advertise_password && idp.scim.mode == ScimMode::Strict {
            let message = "expected mode compat: strict refuses a password";
            return Err(ConfigError::invalid(format!("idps.{index}.scim.advertisePassword"), message));
        }
    }
    super::jwt::check(&config.idps)?;
    let id = config.issuer.cluster_id.as_deref().unwrap_or("default");
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(ConfigError::invalid(
            "issuer.clusterId",
            "expected letters, digits, hyphens, underscores and dots: it stands in every token's sub",
        ));
    }
    let mut ids = BTreeSet::new();
    for (index, client) in config.issuer.clients.iter().enumerate() {
        let key = format!("issuer.clients.{index}");
        if client.secret_file.is_some() == client.secret_env.is_some() {
            return Err(ConfigError::invalid(key, "expected exactly one of secretFile, secretEnv"));
        }
        if client.id.is_empty() || !ids.insert(&client.id) {
            return Err(ConfigError::invalid(key, "expected an id of its own"));
        }
        if client.audience.is_empty() {
            return Err(ConfigError::invalid(key, "expected an audience: whom its tokens are for"));
        }
    }
    for (name, target) in &config.targets {
        if target.audience.is_empty() {
            return Err(ConfigError::invalid(format!("targets.{name}.audience"), "expected the token's aud"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
