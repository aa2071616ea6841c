//! Who may do what: permissions and roles, secrets and how they are written, keys of agents, mail.
//!
//! Rules only. Rows are [`crate::store`]'s, addresses and statuses are [`crate::http`]'s.

pub(crate) mod first_admin;
mod identity;
mod key;
mod mail;
mod permission;
mod person;
mod seal;
mod secret;
mod source;

pub(crate) use identity::{Identity, KeyScope};
pub(crate) use key::AgentKey;
pub(crate) use mail::{MailError, Mailer};
pub(crate) use permission::{Permission, Permissions, roles};
pub(crate) use person::{GivenRoles, RoleMapping, username, verified_email};
pub(crate) use seal::{KEY_BYTES, Sealer};
pub(crate) use secret::{Digest, Secret, digest};
pub(crate) use source::{CameraLogin, PrivateSource};

/// Characters of a new password. Length is what counts; NIST SP 800-63B asks for 8 characters and for no mix of kinds. What is
/// too long for bcrypt is refused where it is hashed.
pub(crate) const SHORTEST_PASSWORD: usize = 8;
