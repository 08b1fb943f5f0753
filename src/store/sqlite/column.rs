//! Columns as SQLite takes and gives them.

use rusqlite::{
    ErrorCode, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::store::{
    StoreError,
    sql::conn::{Column, SqlError},
};

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(failure, Some(text)) if failure.code == ErrorCode::ConstraintViolation => {
                // Also foreign keys and the like: whoever asks for a constraint's name finds none of theirs.
                Self::Unique(text)
            }
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl ToSql for Column<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl<'a> Column<'a> {
    /// A column of a row.
    pub fn of_sqlite(row: &'a rusqlite::Row<'_>, index: usize) -> Result<Self, String> {
        Ok(match row.get_ref(index).map_err(|error| error.to_string())? {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(_) => return Err("expected no fraction".into()),
            ValueRef::Text(text) => Self::Text(std::str::from_utf8(text).map_err(|error| error.to_string())?.into()),
            ValueRef::Blob(bytes) => Self::Blob(bytes),
        })
    }
}
