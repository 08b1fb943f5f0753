//! After a dump was put back: the database begins a new epoch, as a restored file does.

use std::sync::Arc;

use super::{open::writer, place::Place};
use crate::{
    clock::Clock,
    config::PostgresUrl,
    store::{
        Restored, StoreError,
        sql::{epoch, rows::whole_micros},
    },
};

/// Makes a database that was restored by PostgreSQL's own means safe to serve. No server may run on it.
pub fn restore(url: &PostgresUrl, clock: &Clock) -> Result<Restored, StoreError> {
    let place = Arc::new(Place::new(url)?);
    epoch::begin(&mut writer(&place)?, whole_micros(clock()))
}
