//! SCIM over HTTP (RFC 7644): routes, authentication, errors, the schemas served. Uses `identity`, `store`, `revocation`.
