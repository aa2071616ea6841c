//! Who is calling: passwords, access tokens and the bearer extractor.

mod bearer;
mod known;
mod oidc;
mod passwords;
mod tokens;

pub(super) use bearer::Caller;
pub(super) use known::KnownCache;
pub(super) use oidc::{Attempt, OidcError, Person, challenge};
pub(crate) use oidc::{Oidc, OidcSettings};
pub(crate) use passwords::{PasswordError, Passwords};
pub(crate) use tokens::{TokenKeys, TokenSettings};
