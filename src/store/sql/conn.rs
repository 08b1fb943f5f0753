//! A connection to either database, so that one SQL serves both. It is SQLite's; PostgreSQL's driver translates the few
//! words that differ (`postgres/dialect.rs`). Placeholders are `?1`, `?2`, …; integers are of 64 bits; bytes are bytes.

use std::ops::Deref;

pub(crate) use super::column::params;
pub use super::column::{Column, FromColumn, Params, ToColumn};
use crate::store::{StoreError, postgres::Session};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// A second row with what is to be unique. It names the constraint, in the database's own words.
    #[error("{0}")]
    Unique(String),
    /// A row was expected, and there is none.
    #[error("no row was found")]
    NoRow,
    /// A column holds something else than what is read.
    #[error("column {0}: {1}")]
    Column(usize, String),
    /// Everything else.
    #[error("{0}")]
    Failed(String),
}

/// What a statement gives.
pub type SqlResult<T> = Result<T, SqlError>;

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A connection.
pub enum Conn {
    /// To a file.
    Sqlite(rusqlite::Connection),
    /// To a server. In a box, since it is large and the other is not.
    Postgres(Box<Session>),
}

/// A statement that the connection keeps prepared.
pub enum Statement<'c> {
    /// SQLite's.
    Sqlite(rusqlite::CachedStatement<'c>),
    /// PostgreSQL's.
    Postgres(&'c Session, postgres::Statement),
}

/// A row of an answer.
pub enum Row<'r> {
    /// SQLite's.
    Sqlite(&'r rusqlite::Row<'r>),
    /// PostgreSQL's.
    Postgres(&'r postgres::Row),
}

/// A read that sees one moment, from its first statement to its end.
pub struct Snapshot<'c>(&'c Conn);

impl Conn {
    /// Prepares a statement, or finds it prepared.
    pub fn prepare_cached(&self, sql: &str) -> SqlResult<Statement<'_>> {
        Ok(match self {
            Self::Sqlite(conn) => Statement::Sqlite(conn.prepare_cached(sql)?),
            Self::Postgres(session) => Statement::Postgres(session, session.prepare(sql)?),
        })
    }

    /// Statements without values, one after the other.
    pub fn execute_batch(&self, sql: &str) -> SqlResult<()> {
        match self {
            Self::Sqlite(conn) => Ok(conn.execute_batch(sql)?),
            Self::Postgres(session) => session.batch(sql),
        }
    }

    /// Begins a transaction that writes.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        match self {
            // IMMEDIATE: a deferred transaction could fail at its first write, where no busy timeout helps.
            Self::Sqlite(conn) => Ok(control(conn, "BEGIN IMMEDIATE")?),
            Self::Postgres(session) => session.begin("BEGIN"),
        }
    }

    /// A word that governs the transaction: a savepoint, its end.
    pub fn control(&self, word: &str) -> SqlResult<()> {
        match self {
            Self::Sqlite(conn) => control(conn, word),
            Self::Postgres(session) => session.batch(word),
        }
    }

    /// Whether the transaction that was begun is still there: SQLite has rolled all back after a full disk and the like,
    /// PostgreSQL when the connection is lost. What followed would be committed by itself.
    pub fn is_in_transaction(&self) -> bool {
        match self {
            Self::Sqlite(conn) => !conn.is_autocommit(),
            Self::Postgres(session) => !session.is_closed(),
        }
    }

    /// Begins a read.
    pub fn snapshot(&mut self) -> Result<Snapshot<'_>, StoreError> {
        match self {
            Self::Sqlite(conn) => control(conn, "BEGIN DEFERRED")?,
            Self::Postgres(session) => session.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?,
        }
        Ok(Snapshot(self))
    }
}

fn control(conn: &rusqlite::Connection, word: &str) -> SqlResult<()> {
    Ok(conn.prepare_cached(word)?.execute([]).map(drop)?)
}

impl Deref for Snapshot<'_> {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        self.0
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // It has changed nothing; a connection that is lost has ended it already.
        let _ = self.0.control("ROLLBACK");
    }
}

#[expect(clippy::needless_pass_by_value, reason = "values are written down where they are passed")]
impl Statement<'_> {
    /// Runs it; how many rows it changed.
    pub fn execute(&mut self, params: impl Params) -> SqlResult<usize> {
        let values = params.columns()?;
        match self {
            Self::Sqlite(statement) => Ok(statement.execute(rusqlite::params_from_iter(&values))?),
            Self::Postgres(session, statement) => session.execute(statement, &values),
        }
    }

    /// All rows of its answer.
    pub fn query_map<T>(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        let values = params.columns()?;
        let mut found = Vec::new();
        match self {
            Self::Sqlite(statement) => {
                let mut rows = statement.query(rusqlite::params_from_iter(&values))?;
                while let Some(row) = rows.next()? {
                    found.push(read(&Row::Sqlite(row))?);
                }
            }
            Self::Postgres(session, statement) => {
                for row in session.query(statement, &values)? {
                    found.push(read(&Row::Postgres(&row))?);
                }
            }
        }
        Ok(found)
    }

    /// The first row of its answer.
    pub fn query_row<T>(&mut self, params: impl Params, read: impl FnOnce(&Row<'_>) -> SqlResult<T>) -> SqlResult<T> {
        let values = params.columns()?;
        match self {
            Self::Sqlite(statement) => {
                let mut rows = statement.query(rusqlite::params_from_iter(&values))?;
                read(&Row::Sqlite(rows.next()?.ok_or(SqlError::NoRow)?))
            }
            Self::Postgres(session, statement) => {
                let rows = session.query(statement, &values)?;
                read(&Row::Postgres(rows.first().ok_or(SqlError::NoRow)?))
            }
        }
    }
}

impl Row<'_> {
    /// A column, as what it holds.
    pub fn get<T: FromColumn>(&self, index: usize) -> SqlResult<T> {
        let column = match self {
            Self::Sqlite(row) => Column::of_sqlite(row, index),
            Self::Postgres(row) => Column::of_postgres(row, index),
        };
        column.and_then(T::from_column).map_err(|why| SqlError::Column(index, why))
    }
}

/// No row is an answer, too.
pub trait OptionalExtension<T> {
    /// `None` where no row was found.
    fn optional(self) -> SqlResult<Option<T>>;
}

impl<T> OptionalExtension<T> for SqlResult<T> {
    fn optional(self) -> SqlResult<Option<T>> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(SqlError::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
