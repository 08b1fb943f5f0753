//! Attributes of extensions that are unique (RFC 7643 §2.2, `uniqueness`): an index for each, made and dropped as the
//! configuration has them. So it is the database that refuses a second one, whichever of two writes comes first.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde_json::Value;

use super::conn::{Conn, SqlError};
use crate::{
    identity::{
        Resource,
        schema::{self, Attribute, Schema},
    },
    store::StoreError,
};

/// What the names of these indexes begin with.
const PREFIX: &str = "unique ";

/// Makes the indexes what the schemas say.
pub fn prepare(writer: &Conn) -> Result<(), StoreError> {
    let wanted: BTreeMap<_, _> =
        schema::unique().map(|(schema, attribute)| (name(schema, attribute), attribute)).collect();
    let names = match writer {
        Conn::Sqlite(_) => "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE ?1",
        Conn::Postgres(_) => {
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname LIKE ?1"
        }
    };
    let found: Vec<String> = writer.prepare_cached(names)?.query_map([format!("{PREFIX}%")], |row| row.get(0))?;
    for name in found.iter().filter(|name| !wanted.contains_key(*name)) {
        writer.execute_batch(&format!("DROP INDEX \"{name}\""))?;
    }
    for (schema, attribute) in schema::unique() {
        let (name, value) = (name(schema, attribute), value(writer, schema, attribute));
        // Partial: who has no value costs nothing, and no list of everyone is read by this index.
        let sql = format!(
            "CREATE UNIQUE INDEX IF NOT EXISTS \"{name}\" ON resources (idp, kind, {value}) WHERE {value} IS NOT NULL"
        );
        writer.execute_batch(&sql).map_err(|error| match error {
            SqlError::Unique(_) => {
                let (urn, name) = (schema.id, attribute.name);
                StoreError::Failed(format!(
                    "{urn}:{name} is to be unique, and two resources have the same value already"
                ))
            }
            error => error.into(),
        })?;
    }
    Ok(())
}

/// Which attribute a violated constraint speaks of, and the resource's value of it.
pub fn violated(text: &str, resource: &Resource) -> Option<(&'static str, String)> {
    let (schema, attribute) = schema::unique().find(|(schema, attribute)| {
        // SQLite says `index 'NAME'`, PostgreSQL the name alone.
        text.trim_end_matches('\'').ends_with(&name(schema, attribute))
    })?;
    let value = match resource.attributes.get(schema.id)?.get(attribute.name)? {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    Some((attribute.name, value))
}

/// A URN can be longer than PostgreSQL's names (63 bytes), so its hash stands for it.
fn name(schema: &Schema, attribute: &Attribute) -> String {
    let hash = digest::digest(&digest::SHA256, format!("{}:{}", schema.id, attribute.name).as_bytes());
    let short = hash.as_ref().first_chunk().copied().map_or(0, u128::from_be_bytes);
    format!("{PREFIX}{short:032x}")
}

/// The value as an expression; null where there is none. Schemas admit no quotes and no backslashes in URNs and names,
/// so these can stand in SQL as they are.
fn value(conn: &Conn, schema: &Schema, attribute: &Attribute) -> String {
    let (schema, attribute) = (schema.id, attribute.name);
    match conn {
        Conn::Sqlite(_) => format!("json_extract(attributes, '$.\"{schema}\".\"{attribute}\"')"),
        Conn::Postgres(_) => format!("(attributes::jsonb #>> '{{\"{schema}\",\"{attribute}\"}}')"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::conn::params;

    fn indexes(conn: &Conn) -> Vec<String> {
        let mut select =
            conn.prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name").unwrap();
        select.query_map(params![], |row| row.get(0)).unwrap()
    }

    #[test]
    fn indexes_come_and_go_with_the_schemas() {
        let conn = Conn::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        conn.execute_batch(
            "CREATE TABLE resources (idp, kind, attributes);
             CREATE INDEX resources_order ON resources (idp);
             CREATE UNIQUE INDEX \"unique urn:gone:a\" ON resources (json_extract(attributes, '$.\"urn:gone\".\"a\"'));",
        )
        .unwrap();
        prepare(&conn).unwrap();
        let mut expected: Vec<_> = schema::unique().map(|(schema, attribute)| name(schema, attribute)).collect();
        assert_eq!(expected.len(), 2);
        expected.push("resources_order".into());
        expected.sort_unstable();
        assert_eq!(indexes(&conn), expected);
        prepare(&conn).unwrap();

        let (schema, attribute) = schema::unique().find(|(_, attribute)| attribute.name == "number").unwrap();
        conn.execute_batch(&format!("DROP INDEX \"{}\"", name(schema, attribute))).unwrap();
        let body = r#"{"urn:example:params:scim:schemas:extension:badge:2.0:User": {"number": 7}}"#;
        for _ in 0..2 {
            conn.prepare_cached("INSERT INTO resources VALUES (1, 'User', ?1)").unwrap().execute([body]).unwrap();
        }
        let error = prepare(&conn).unwrap_err().to_string();
        assert!(error.contains("badge:2.0:User:number is to be unique"), "{error}");
    }
}
