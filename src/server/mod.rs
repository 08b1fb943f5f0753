//! Starts components, listeners, TLS, shutdown.
