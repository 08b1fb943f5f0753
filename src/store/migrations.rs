//! The schema, from its first form to the one that we know: written once, for both databases. A migration is never changed.

/// In their order; a store's version is how many it has.
const MIGRATIONS: [&str; 7] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_restore.sql"),
    include_str!("migrations/0003_token_use.sql"),
    include_str!("migrations/0004_grants_ended.sql"),
    include_str!("migrations/0005_names.sql"),
    include_str!("migrations/0006_agents.sql"),
    include_str!("migrations/0007_emails.sql"),
];

/// Those that a store of this version has still to be taken through, each with the version that it leads to.
pub fn after(version: usize) -> Result<impl Iterator<Item = (&'static str, u32)>, String> {
    let known = MIGRATIONS.len();
    if version > known {
        return Err(format!(
            "the store was written by a newer scim-tekton (schema {version}; this one knows up to {known})"
        ));
    }
    Ok(MIGRATIONS.into_iter().zip(1..).skip(version))
}
