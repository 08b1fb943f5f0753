//! Attributes of extensions that are unique (RFC 7643 §2.2, `uniqueness`): an index for each, made and dropped as the
//! configuration has them. So it is SQLite that refuses a second one, whichever of two writes comes first.

use std::collections::BTreeMap;

use rusqlite::{Connection, ErrorCode};
use serde_json::Value;

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
pub fn prepare(writer: &Connection) -> Result<(), StoreError> {
    let wanted: BTreeMap<_, _> =
        schema::unique().map(|(schema, attribute)| (name(schema, attribute), attribute)).collect();
    let mut select = writer.prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE ?1")?;
    let found: Vec<String> = select.query_map([format!("{PREFIX}%")], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in found.iter().filter(|name| !wanted.contains_key(*name)) {
        writer.execute_batch(&format!("DROP INDEX \"{name}\""))?;
    }
    for (schema, attribute) in schema::unique() {
        let (name, value) = (name(schema, attribute), value(schema, attribute));
        // Partial: who has no value costs nothing, and no list of everyone is read by this index.
        let sql = format!(
            "CREATE UNIQUE INDEX IF NOT EXISTS \"{name}\" ON resources (idp, kind, {value}) WHERE {value} IS NOT NULL"
        );
        writer.execute_batch(&sql).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => {
                let (urn, name) = (schema.id, attribute.name);
                StoreError::Failed(format!(
                    "{urn}:{name} is to be unique, and two resources have the same value already"
                ))
            }
            _ => error.into(),
        })?;
    }
    Ok(())
}

/// Which attribute a violated constraint speaks of, and the resource's value of it.
pub fn violated(text: &str, resource: &Resource) -> Option<(&'static str, String)> {
    let (schema, attribute) =
        schema::unique().find(|(schema, attribute)| text.ends_with(&format!("'{}'", name(schema, attribute))))?;
    let value = match resource.attributes.get(schema.id)?.get(attribute.name)? {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    Some((attribute.name, value))
}

/// Schemas admit no quotes and no backslashes in URNs and names, so these can stand in SQL as they are.
fn name(schema: &Schema, attribute: &Attribute) -> String {
    format!("{PREFIX}{}:{}", schema.id, attribute.name)
}

/// The value as an expression; null where there is none.
fn value(schema: &Schema, attribute: &Attribute) -> String {
    format!("json_extract(attributes, '$.\"{}\".\"{}\"')", schema.id, attribute.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(conn: &Connection) -> Vec<String> {
        let mut select = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn indexes_come_and_go_with_the_schemas() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE resources (idp, kind, attributes);
             CREATE INDEX resources_order ON resources (idp);
             CREATE UNIQUE INDEX \"unique urn:gone:a\" ON resources (json_extract(attributes, '$.\"urn:gone\".\"a\"'));",
        )
        .unwrap();
        prepare(&conn).unwrap();
        let badge = "unique urn:example:params:scim:schemas:extension:badge:2.0:User";
        assert_eq!(
            indexes(&conn),
            ["resources_order".to_owned(), format!("{badge}:number"), format!("{badge}:serial")]
        );
        prepare(&conn).unwrap();

        conn.execute_batch(&format!("DROP INDEX \"{badge}:number\"")).unwrap();
        let body = r#"{"urn:example:params:scim:schemas:extension:badge:2.0:User": {"number": 7}}"#;
        for _ in 0..2 {
            conn.execute("INSERT INTO resources VALUES (1, 'User', ?1)", [body]).unwrap();
        }
        let error = prepare(&conn).unwrap_err().to_string();
        assert!(error.contains("badge:2.0:User:number is to be unique"), "{error}");
    }
}
