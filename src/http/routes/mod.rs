//! The handlers, each with its wire types beside it.

mod health;
mod login;
mod streams;

pub(super) use health::{HealthCache, health, live, metrics, ready};
pub(super) use login::{login_form, login_json};
pub(super) use streams::{session, sessions, stream, streams};
