//! What an operator relies on: who may do what, limits, TLS, logs, metrics, health and stopping, seen over a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod access;
mod description;
mod http2;
mod limits;
mod page;
mod stopping;
mod support;
mod tls;
mod tokens;
mod unit;
mod watching;
