//! Signing keys: made, loaded; JWS. Uses nothing of ours.
