//! Opening: one opener, at the schema that we know.

use std::sync::Arc;

use super::{
    dialect,
    place::{Place, Role},
    session::Session,
};
use crate::{
    config::PostgresUrl,
    store::{
        StoreError, migrations,
        sql::{
            READERS,
            conn::{Conn, OptionalExtension as _, params},
        },
    },
};

/// Opens the store on a server, or makes it there: the connection that writes, and those that read.
pub fn open(url: &PostgresUrl) -> Result<(Conn, Vec<Conn>), StoreError> {
    let place = Arc::new(Place::new(url)?);
    let writer = writer(&place)?;
    let readers = (0..READERS).map(|_| Session::open(Arc::clone(&place), Role::Reader));
    let readers = readers.map(|reader| Ok(Conn::Postgres(Box::new(reader?)))).collect::<Result<_, StoreError>>()?;
    Ok((writer, readers))
}

/// The connection that writes, at the schema that we know.
pub fn writer(place: &Arc<Place>) -> Result<Conn, StoreError> {
    let writer = Conn::Postgres(Box::new(Session::open(Arc::clone(place), Role::Writer)?));
    migrate(&writer, place)?;
    Ok(writer)
}

fn migrate(conn: &Conn, place: &Place) -> Result<(), StoreError> {
    let tables = "SELECT count(*), count(*) FILTER (WHERE tablename = 'schema_version')
         FROM pg_tables WHERE schemaname = current_schema()";
    let (tables, ours): (i64, i64) =
        conn.prepare_cached(tables)?.query_row(params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if tables > 0 && ours == 0 {
        return Err(place.wrong("its schema holds tables of another program, not a store of scim-tekton"));
    }
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL)",
    )?;
    let version: Option<usize> = conn
        .prepare_cached("SELECT version FROM schema_version")?
        .query_row(params![], |row| Ok(usize::try_from(row.get::<i64>(0)?).unwrap_or_default()))
        .optional()?;
    let missing = migrations::after(version.unwrap_or_default()).map_err(|why| place.wrong(&why))?;
    for (migration, to) in missing {
        // One batch is one transaction.
        conn.execute_batch(&format!(
            "BEGIN;\n{}\nINSERT INTO schema_version VALUES (1, {to})
             ON CONFLICT (one) DO UPDATE SET version = excluded.version;\nCOMMIT",
            dialect::schema(migration)
        ))?;
    }
    Ok(())
}
