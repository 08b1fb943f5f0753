//! The API servers: their addresses and our clients for them. Uses `api`.
