//! One file a provider of credentials. Uses `keys`, `store`, `cluster`.

pub mod oidc;
