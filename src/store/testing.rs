//! Which database tests use: a file, or, when `tests/run/postgres.sh` runs them, a real PostgreSQL.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
};

use crate::config::StoreUrl;

/// Names the server, without a query.
const SERVER: &str = "POSTGRES_FOR_TESTS";

/// The store that stands for a path: on a server, a schema of its own.
pub(crate) fn url(path: &Path) -> StoreUrl {
    if std::env::var_os(SERVER).is_none() {
        return StoreUrl::Sqlite(path.to_owned());
    }
    postgres(path)
}

/// The schema that stands for a path. Fails where no server runs.
pub(crate) fn postgres(path: &Path) -> StoreUrl {
    let server = std::env::var(SERVER).expect("tests/run/postgres.sh starts a server and says where");
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    StoreUrl::try_from(format!("{server}?options=-csearch_path%3Dt{:016x}", hasher.finish())).unwrap()
}
