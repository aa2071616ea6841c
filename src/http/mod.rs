//! The server's face: logging in, reading state, and events over WebSocket.
//!
//! Everything it needs from the rest of the server comes through [`ports`] and the hub; there is no SQL and no
//! configuration file here. The wire types lie beside their routes. `ws::session` is the only file that knows
//! `actix-web-actors`, which is deprecated upstream and may have to be replaced.

mod app;
mod auth;
mod guard;
mod metrics;
mod middleware;
mod once;
mod openapi;
pub(crate) mod ports;
mod problem;
mod router;
mod routes;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod visit;
mod ws;

pub(crate) use app::{AccountRules, App, Parts, Signup};
pub(crate) use auth::{Oidc, OidcSettings, Passwords, TokenKeys, TokenSettings};
pub(crate) use metrics::Metrics;
pub(crate) use middleware::current_request_id;
pub(crate) use openapi::document;
#[cfg(test)]
pub(crate) use server::BindError;
pub(crate) use server::{Server, ServerSettings, Stopper};
pub(crate) use ws::WsSettings;
