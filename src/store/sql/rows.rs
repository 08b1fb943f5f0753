//! How our types stand in columns. Each newtype is one convention of the schema.

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::conn::{Column, FromColumn, ToColumn};
use crate::{
    identity::{ResourceId, ResourceKind},
    store::GrantId,
    ticket::SecretHash,
};

/// Microseconds since 1970.
pub struct Time(pub DateTime<Utc>);

/// The moment as the store can hold it, so that what is returned is what will be read.
pub fn whole_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

impl ToColumn for Time {
    fn to_column(&self) -> Result<Column<'_>, String> {
        Ok(Column::Integer(self.0.timestamp_micros()))
    }
}

impl FromColumn for Time {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        DateTime::from_timestamp_micros(column.integer()?).map(Self).ok_or_else(|| "no moment".to_owned())
    }
}

/// 16 bytes.
pub struct Id(pub Uuid);

impl From<ResourceId> for Id {
    fn from(id: ResourceId) -> Self {
        Self(id.0)
    }
}

impl From<GrantId> for Id {
    fn from(id: GrantId) -> Self {
        Self(id.0)
    }
}

impl ToColumn for Id {
    fn to_column(&self) -> Result<Column<'_>, String> {
        Ok(Column::Blob(self.0.as_bytes()))
    }
}

impl FromColumn for Id {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        Uuid::from_slice(column.bytes()?).map(Self).map_err(|error| error.to_string())
    }
}

/// 32 bytes.
pub struct Hash(pub SecretHash);

impl ToColumn for Hash {
    fn to_column(&self) -> Result<Column<'_>, String> {
        Ok(Column::Blob(&self.0.0))
    }
}

impl FromColumn for Hash {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        let hash = column.bytes()?.try_into().map_err(|_| "expected 32 bytes".to_owned())?;
        Ok(Self(SecretHash(hash)))
    }
}

/// A structure as JSON text.
pub struct Json<T>(pub T);

impl<T: Serialize> ToColumn for Json<T> {
    fn to_column(&self) -> Result<Column<'_>, String> {
        serde_json::to_string(&self.0).map(|text| Column::Text(text.into())).map_err(|error| error.to_string())
    }
}

impl<T: DeserializeOwned> FromColumn for Json<T> {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        serde_json::from_str(&column.text()?).map(Self).map_err(|error| error.to_string())
    }
}

/// An enum as the word that serde writes for it: phases, reasons.
pub struct Word<T>(pub T);

impl<T: Serialize> ToColumn for Word<T> {
    fn to_column(&self) -> Result<Column<'_>, String> {
        match serde_json::to_value(&self.0) {
            Ok(Value::String(word)) => Ok(Column::Text(word.into())),
            other => Err(format!("expected a word, found {other:?}")),
        }
    }
}

impl<T: DeserializeOwned> FromColumn for Word<T> {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        let word = Value::String(column.text()?.into_owned());
        serde_json::from_value(word).map(Self).map_err(|error| error.to_string())
    }
}

/// `User`, `Group` or `Agent`.
pub struct Kind(pub ResourceKind);

impl ToColumn for Kind {
    fn to_column(&self) -> Result<Column<'_>, String> {
        Ok(Column::Text(self.0.as_str().into()))
    }
}

impl FromColumn for Kind {
    fn from_column(column: Column<'_>) -> Result<Self, String> {
        match &*column.text()? {
            "User" => Ok(Self(ResourceKind::User)),
            "Group" => Ok(Self(ResourceKind::Group)),
            "Agent" => Ok(Self(ResourceKind::Agent)),
            _ => Err("expected User, Group or Agent".to_owned()),
        }
    }
}
