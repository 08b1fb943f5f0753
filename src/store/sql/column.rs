//! What a column can hold, in both databases, and how plain values stand in one.

use std::borrow::Cow;

/// A value as it goes in and comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column<'a> {
    /// Nothing.
    Null,
    /// Also a truth: 0 or 1.
    Integer(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Blob(&'a [u8]),
}

/// What can be put into a column.
pub trait ToColumn {
    /// As a column.
    fn to_column(&self) -> Result<Column<'_>, String>;
}

/// What can be read from a column.
pub trait FromColumn: Sized {
    /// From a column; the error says what was expected.
    fn from_column(column: Column<'_>) -> Result<Self, String>;
}

/// The values of a statement, in the order of its placeholders.
pub trait Params {
    /// As columns.
    fn columns(&self) -> Result<Vec<Column<'_>>, super::conn::SqlError>;
}

fn columns<'a>(
    values: impl Iterator<Item = &'a (impl ToColumn + ?Sized + 'a)>,
) -> Result<Vec<Column<'a>>, super::conn::SqlError> {
    values
        .enumerate()
        .map(|(at, value)| value.to_column().map_err(|why| super::conn::SqlError::Column(at, why)))
        .collect()
}

impl<T: ToColumn, const N: usize> Params for [T; N] {
    fn columns(&self) -> Result<Vec<Column<'_>>, super::conn::SqlError> {
        columns(self.iter())
    }
}

impl Params for &[&dyn ToColumn] {
    fn columns(&self) -> Result<Vec<Column<'_>>, super::conn::SqlError> {
        columns(self.iter().copied())
    }
}

impl Params for Vec<Box<dyn ToColumn>> {
    fn columns(&self) -> Result<Vec<Column<'_>>, super::conn::SqlError> {
        columns(self.iter().map(Box::as_ref))
    }
}

/// Values of several types for one statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn crate::store::sql::conn::ToColumn),*] as &[&dyn crate::store::sql::conn::ToColumn]
    };
}
pub(crate) use params;

impl<T: ToColumn + ?Sized> ToColumn for &T {
    fn to_column(&self) -> Result<Column<'_>, String> {
        (**self).to_column()
    }
}

impl<T: ToColumn + ?Sized> ToColumn for Box<T> {
    fn to_column(&self) -> Result<Column<'_>, String> {
        (**self).to_column()
    }
}

impl<T: ToColumn> ToColumn for Option<T> {
    fn to_column(&self) -> Result<Column<'_>, String> {
        self.as_ref().map_or(Ok(Column::Null), ToColumn::to_column)
    }
}

impl ToColumn for str {
    fn to_column(&self) -> Result<Column<'_>, String> {
        Ok(Column::Text(self.into()))
    }
}

impl ToColumn for String {
    fn to_column(&self) -> Result<Column<'_>, String> {
        self.as_str().to_column()
    }
}

impl<const N: usize> ToColumn for [u8; N] {
    fn to_column(&self) -> Result<Column<'_>, String> {
        Ok(Column::Blob(self))
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        match column {
            Column::Null => Ok(None),
            column => T::from_column(column).map(Some),
        }
    }
}

impl FromColumn for String {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        Ok(column.text()?.into_owned())
    }
}

impl ToColumn for bool {
    fn to_column(&self) -> Result<Column<'_>, String> {
        Ok(Column::Integer((*self).into()))
    }
}

impl FromColumn for bool {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        Ok(column.integer()? != 0)
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl ToColumn for $integer {
            fn to_column(&self) -> Result<Column<'_>, String> {
                Ok(Column::Integer((*self).into()))
            }
        }

        impl FromColumn for $integer {
            fn from_column(column: Column<'_>) -> Result<Self, String> {
                column.integer()?.try_into().map_err(|_| concat!("no ", stringify!($integer)).to_owned())
            }
        }
    )*};
}
integers!(i64, i32, u32, u8);

impl<'a> Column<'a> {
    /// The number in it.
    pub fn integer(self) -> Result<i64, String> {
        match self {
            Self::Integer(number) => Ok(number),
            other => Err(format!("expected a number, found {}", other.name())),
        }
    }

    /// The text in it.
    pub fn text(self) -> Result<Cow<'a, str>, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("expected text, found {}", other.name())),
        }
    }

    /// The bytes in it.
    pub fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Blob(bytes) => Ok(bytes),
            other => Err(format!("expected bytes, found {}", other.name())),
        }
    }

    /// Never the value: it may name a person.
    fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Integer(_) => "a number",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}
