//! The OIDC issuer over HTTP: discovery, JWKS, introspection. Uses `keys`, `store`.
