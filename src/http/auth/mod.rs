//! Who is calling: passwords, access tokens and the bearer extractor.

mod bearer;
mod passwords;
mod tokens;

pub(super) use bearer::Caller;
pub(crate) use passwords::{PasswordError, Passwords};
pub(super) use tokens::Claims;
pub(crate) use tokens::{Role, TokenKeys, TokenSettings};
