//! The other end of the control socket.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Response, Url};
use serde::{Serialize, de::DeserializeOwned};

use crate::server::{control::wire::Problem, innermost};

/// A revocation of thousands of Grants takes its time; a server that hangs must not hang the terminal for ever.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why the server gave no answer, or none that is one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(
        "no server answers at {path}: is `scim-tekton serve` running? in a cluster: \
         kubectl -n scim-tekton exec deploy/scim-tekton -- scim-tekton … ({why})"
    )]
    NoServer { path: PathBuf, why: String },
    #[error("{0} belongs to another user: run this as the user that runs `scim-tekton serve`")]
    Forbidden(PathBuf),
    /// The server's own sentence.
    #[error("{0}")]
    Refused(String),
    #[error("the server at {path} gave an answer that this version does not understand: {why}")]
    Strange { path: PathBuf, why: String },
}

/// Asks the server.
#[derive(Debug)]
pub(super) struct Client {
    path: PathBuf,
    http: reqwest::Client,
    base: Url,
}

impl Client {
    pub(super) fn new(path: PathBuf) -> Result<Self, ClientError> {
        let strange = |why: String| ClientError::Strange { path: path.clone(), why };
        let http = reqwest::Client::builder()
            .unix_socket(Path::new(&path))
            // Nothing here speaks TLS, and our image has no certificates of the system's to load.
            .tls_certs_only([])
            .timeout(PATIENCE)
            .build()
            .map_err(|error| strange(error.to_string()))?;
        // The name goes nowhere: every connection is the socket.
        let base = Url::parse("http://localhost/v1").map_err(|error| strange(error.to_string()))?;
        Ok(Self { path, http, base })
    }

    /// GET of a path of segments, with a query.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<T, ClientError> {
        let mut url = self.url(segments);
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let answer = self.http.get(url).send().await;
        self.read(answer).await
    }

    /// POST of a body to a path of segments.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let answer = self.http.post(self.url(segments)).json(body).send().await;
        self.read(answer).await
    }

    /// Each segment is escaped: what a person typed stays one.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }

    async fn read<T: DeserializeOwned>(&self, answer: Result<Response, reqwest::Error>) -> Result<T, ClientError> {
        let strange = |why: String| ClientError::Strange { path: self.path.clone(), why };
        let answer = answer.map_err(|error| self.no_answer(&error))?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(|error| strange(innermost(&error)));
        }
        let text = answer.text().await.map_err(|error| strange(innermost(&error)))?;
        Err(match serde_json::from_str::<Problem>(&text) {
            Ok(problem) => ClientError::Refused(problem.error),
            Err(_) => strange(format!("HTTP {status}")),
        })
    }

    fn no_answer(&self, error: &reqwest::Error) -> ClientError {
        let path = self.path.clone();
        let why = innermost(error);
        if std::os::unix::net::UnixStream::connect(&path)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
        {
            return ClientError::Forbidden(path);
        }
        ClientError::NoServer { path, why }
    }
}
