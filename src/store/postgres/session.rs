//! A session with the server: statements, and what they give.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    error::Error,
    sync::Arc,
};

use postgres::{
    Client, Statement,
    error::SqlState,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};
use tokio_util::bytes::BytesMut;

use super::{
    dialect,
    place::{Place, Role},
};
use crate::store::{
    StoreError,
    sql::conn::{Column, SqlError, SqlResult},
};

/// One session. Who has it is alone with it: the client speaks one statement at a time.
pub struct Session {
    place: Arc<Place>,
    role: Role,
    talk: RefCell<Talk>,
}

struct Talk {
    client: Client,
    /// By their text, as SQLite's driver keeps them; there are as many as our code has.
    statements: HashMap<String, Statement>,
}

impl Session {
    /// A new one.
    pub fn open(place: Arc<Place>, role: Role) -> Result<Self, StoreError> {
        let client = place.connect(role)?;
        Ok(Self { place, role, talk: RefCell::new(Talk { client, statements: HashMap::new() }) })
    }

    /// Begins a transaction; in another session, if the other side has hung up. Nothing can be lost: whether the last one
    /// was committed, the writer finds out.
    pub fn begin(&mut self, words: &str) -> Result<(), StoreError> {
        match self.batch(words) {
            Err(error) if self.is_closed() => {
                tracing::warn!(%error, "the connection to the store was lost, and is made anew");
                *self = Self::open(Arc::clone(&self.place), self.role)?;
                Ok(self.batch(words)?)
            }
            begun => Ok(begun?),
        }
    }

    /// Whether the other side has hung up.
    pub fn is_closed(&self) -> bool {
        self.talk.borrow().client.is_closed()
    }

    /// Prepares a statement of ours.
    pub fn prepare(&self, sql: &str) -> SqlResult<Statement> {
        let talk = &mut *self.talk.borrow_mut();
        match talk.statements.entry(sql.to_owned()) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(new) => Ok(new.insert(talk.client.prepare(&dialect::statement(sql))?).clone()),
        }
    }

    /// Statements without values, in PostgreSQL's own words.
    pub fn batch(&self, sql: &str) -> SqlResult<()> {
        Ok(self.talk.borrow_mut().client.batch_execute(sql)?)
    }

    /// Runs a statement; how many rows it changed.
    pub fn execute(&self, statement: &Statement, values: &[Column<'_>]) -> SqlResult<usize> {
        let changed = self.talk.borrow_mut().client.execute(statement, &references(values))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// All rows of a statement's answer.
    pub fn query(&self, statement: &Statement, values: &[Column<'_>]) -> SqlResult<Vec<postgres::Row>> {
        Ok(self.talk.borrow_mut().client.query(statement, &references(values))?)
    }
}

fn references<'a>(values: &'a [Column<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

impl From<postgres::Error> for SqlError {
    fn from(error: postgres::Error) -> Self {
        match error.as_db_error() {
            // Its detail would name the values.
            Some(db) if *db.code() == SqlState::UNIQUE_VIOLATION => {
                Self::Unique(db.constraint().unwrap_or_default().to_owned())
            }
            Some(db) => Self::Failed(format!("PostgreSQL: {} ({})", db.message(), db.code().code())),
            None => Self::Failed(with_causes(&error)),
        }
    }
}

/// A failure with all that lies behind it: the client's own words are "error connecting to server".
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl ToSql for Column<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *ty == Type::BOOL => (*number != 0).to_sql(ty, out),
            Self::Integer(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            Self::Integer(number) => number.to_sql(ty, out),
            // PostgreSQL's text can't hold it. What SCIM stores has none; a sentence or a header may.
            Self::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(ty, out),
            Self::Text(text) => text.as_ref().to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::BOOL, Type::INT4, Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Column<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *ty {
            Type::BOOL => Self::Integer(bool::from_sql(ty, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(<&str>::from_sql(ty, raw)?.into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        [Type::BOOL, Type::INT4, Type::INT8, Type::TEXT, Type::NAME, Type::BYTEA].contains(ty)
    }
}

impl<'a> Column<'a> {
    /// A column of a row.
    pub fn of_postgres(row: &'a postgres::Row, index: usize) -> Result<Self, String> {
        row.try_get(index).map_err(|error| with_causes(&error))
    }
}
