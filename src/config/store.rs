//! Where everything durable stands, as a URL: a file, or a PostgreSQL server. A password in it comes from the environment
//! and is never shown.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

const EXPECTED: &str = "expected sqlite://PATH or postgres://USER@HOST/DATABASE";

/// `sqlite://PATH` or `postgres://USER@HOST/DATABASE`, as PostgreSQL's own programs take it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(PostgresUrl),
}

/// A PostgreSQL server, as libpq's connection URI, of which `sslmode` and `sslrootcert` are ours to obey.
#[derive(Clone)]
pub struct PostgresUrl {
    url: Url,
    encrypt: bool,
    ca_file: Option<PathBuf>,
}

impl StoreUrl {
    /// Whether a password stands in it, which no file may have.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Postgres(server) if server.url.password().is_some())
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(path.into()));
        }
        // What was found may hold a password: not even a part of it is said.
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => PostgresUrl::parse(&text).map(Self::Postgres),
            _ => Err(EXPECTED.to_owned()),
        }
    }
}

impl PostgresUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("{EXPECTED}: {error}"))?;
        let (mut mode, mut ca_file, mut here) = (None, None, is_here(url.host_str().unwrap_or_default()));
        for (key, value) in url.query_pairs() {
            match &*key {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => ca_file = Some(PathBuf::from(&*value)),
                "password" => return Err("expected a password before the @, not among the parameters".into()),
                "host" => here = is_here(&value),
                _ => {}
            }
        }
        // As they were written: the client decodes no `+`.
        let ours = |pair: &&str| pair.starts_with("sslmode=") || pair.starts_with("sslrootcert=");
        let rest: Vec<_> = url.query().unwrap_or_default().split('&').filter(|pair| !ours(pair)).collect();
        let rest = Some(rest.join("&")).filter(|rest| !rest.is_empty());
        url.set_query(rest.as_deref());
        let encrypt = match mode.as_deref() {
            None => !here,
            Some("disable") => false,
            // Whatever is asked for, a certificate is verified: an unverified one keeps nobody out.
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(_) => return Err("sslmode: expected disable, require or verify-full".into()),
        };
        Ok(Self { url, encrypt, ca_file })
    }

    /// For the client, password and all.
    pub fn for_client(&self) -> SecretString {
        self.url.as_str().into()
    }

    /// Whether the connection must be encrypted: unless the server is on this machine, or the URL says otherwise.
    pub fn must_encrypt(&self) -> bool {
        self.encrypt
    }

    /// Certificates to trust instead of the system's.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }
}

/// On this machine nobody else listens in.
fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.is_empty()
        || host == "localhost"
        || host.starts_with('/')
        || address.is_ok_and(|address| address.is_loopback())
}

/// Without the password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        if shown.password().is_some() {
            // Fails only for URLs without a host, which have no password.
            let _ = shown.set_password(Some("REDACTED"));
        }
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.for_client().expose_secret() == other.for_client().expose_secret()
            && (self.encrypt, &self.ca_file) == (other.encrypt, &other.ca_file)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(server) => server.fmt(f),
        }
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(text: &str) -> PostgresUrl {
        match StoreUrl::try_from(text.to_owned()) {
            Ok(StoreUrl::Postgres(url)) => url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_password_is_for_the_client_alone() {
        let url = postgres("postgres://tekton:s3cret@db.example:5432/scim?sslrootcert=/etc/ca.pem");
        assert_eq!(url.to_string(), "postgres://tekton:REDACTED@db.example:5432/scim");
        assert!(!format!("{url:?}").contains("s3cret"));
        assert_eq!(url.for_client().expose_secret(), "postgres://tekton:s3cret@db.example:5432/scim");
        assert_eq!(url.ca_file(), Some(Path::new("/etc/ca.pem")));
        let hidden = StoreUrl::try_from("postgres://db/scim?password=s3cret".to_owned()).unwrap_err();
        assert!(hidden.contains("before the @") && !hidden.contains("s3cret"), "{hidden}");
        let other = StoreUrl::try_from("mysql://a:s3cret@b".to_owned()).unwrap_err();
        assert_eq!(other, EXPECTED);
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_the_url_says_otherwise() {
        for (text, encrypted) in [
            ("postgres://u@db.example/scim", true),
            ("postgres://u@10.0.0.7/scim", true),
            ("postgres://u@db.example/scim?sslmode=disable", false),
            ("postgres://u@127.0.0.1/scim", false),
            ("postgresql://u@localhost/scim", false),
            ("postgres://u@[::1]/scim", false),
            ("postgres:///scim?host=/run/postgresql", false),
            ("postgres://u@127.0.0.1/scim?sslmode=verify-full", true),
        ] {
            assert_eq!(postgres(text).must_encrypt(), encrypted, "{text}");
        }
        let prefer = StoreUrl::try_from("postgres://u@db/scim?sslmode=prefer".to_owned()).unwrap_err();
        assert!(prefer.contains("verify-full"), "{prefer}");
    }
}
