//! The server on a real socket with a real client; the rest of Kinora is played by `fakes`.

mod access;
mod accounts;
mod administration;
mod client;
mod deadlines;
mod development;
mod every_route;
pub(crate) mod fakes;
mod fanout;
mod guard;
mod hostile_text;
mod identity_provider;
mod keys;
mod limits_and_rights;
mod live;
mod oidc;
mod oidc_roles;
mod once;
mod openapi;
mod pages;
mod replay;
mod stream_edit;
