//! Who is calling: passwords, access tokens and the bearer extractor.

mod bearer;
mod known;
mod passwords;
mod tokens;

pub(super) use bearer::Caller;
pub(super) use known::KnownCache;
pub(crate) use passwords::{PasswordError, Passwords};
pub(crate) use tokens::{TokenKeys, TokenSettings};
