//! Passwords by bcrypt, off the event loop and a few at a time.
//!
//! bcrypt reads 72 bytes. A longer password is refused with a clear error where one is set, never cut off; so no
//! account can have one, and a login with one is a wrong password like any other. Hashing the password first
//! would lift the limit, but a hash made so means nothing to other programs that know bcrypt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::web;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What bcrypt reads; the C string's final zero is not counted.
const LONGEST: usize = 72;
/// Cost of new hashes: about 0.2 s on a core of 2020, OWASP's least is 10.
const COST: u32 = 12;
/// Logins that compute at once. Video needs the cores more.
const AT_ONCE: usize = 2;
/// How long a login waits for its turn before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a password was not hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// It cannot be used.
    #[error("a password may have at most {LONGEST} bytes (most letters take one, others two to four)")]
    TooLong,
    /// Too many logins wait.
    #[error("too many logins at once")]
    Busy,
    /// The library failed, for example for want of random numbers.
    #[error("hashing failed")]
    Failed,
}

/// Makes and checks hashes.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    cost: u32,
    /// Checked in place of an account that does not exist or has no password, so that all take the same time.
    nobody: String,
    /// How often bcrypt checked a password: the same for known and unknown users.
    checks: Arc<AtomicU64>,
}

impl Passwords {
    /// With the usual cost.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub(crate) fn new() -> Result<Self, PasswordError> {
        Self::with_cost(COST)
    }

    /// With a cost of 4 (for tests) to 31.
    ///
    /// # Errors
    /// When there are no random numbers, or the cost is out of range.
    pub(crate) fn with_cost(cost: u32) -> Result<Self, PasswordError> {
        let nobody = hash("nobody has this password", cost)?;
        Ok(Self { turns: Arc::new(Semaphore::new(AT_ONCE)), cost, nobody, checks: Arc::default() })
    }

    /// The hash of a new password. Blocks for a good part of a second.
    ///
    /// # Errors
    /// When the password is too long.
    pub(crate) fn hash_blocking(&self, password: &str) -> Result<String, PasswordError> {
        hash(password, self.cost)
    }

    /// The hash of a new password, off the event loop and in turn.
    ///
    /// # Errors
    /// When the password is too long, or too many others wait.
    pub(in crate::http) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let (turn, cost) = (self.turn().await?, self.cost);
        // The work goes on when its caller hangs up, and so does its turn.
        let work = move || {
            let _turn = turn;
            hash(&password, cost)
        };
        web::block(work).await.map_err(|_| PasswordError::Failed)?
    }

    /// Whether `password` belongs to `hash`. Without a hash the answer is no, after the same time.
    ///
    /// # Errors
    /// When too many others wait.
    pub(in crate::http) async fn matches(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let turn = self.turn().await?;
        let hash = hash.filter(|hash| is_bcrypt(hash));
        let (exists, checks) = (hash.is_some(), Arc::clone(&self.checks));
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        let work = move || {
            let _turn = turn;
            checks.fetch_add(1, Ordering::Relaxed);
            check(&password, &hash)
        };
        let checked = web::block(work).await;
        Ok(checked.map_err(|_| PasswordError::Failed)? && exists)
    }

    /// Hashes that were computed to check a password; none is skipped for what is not a hash.
    #[cfg(test)]
    pub(in crate::http) fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        let turns = Arc::clone(&self.turns);
        let turn = actix_web::rt::time::timeout(PATIENCE, turns.acquire_owned());
        turn.await.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Failed)
    }
}

fn hash(password: &str, cost: u32) -> Result<String, PasswordError> {
    if password.len() > LONGEST {
        return Err(PasswordError::TooLong);
    }
    bcrypt::hash(password, cost).map_err(|_| PasswordError::Failed)
}

/// Whether a text is a hash that bcrypt computes for. The account of somebody whom an identity provider vouches for has
/// none: an answer without work would tell that.
fn is_bcrypt(hash: &str) -> bool {
    let parts: Vec<&str> = hash.split('$').collect();
    matches!(&parts[..], ["", "2a" | "2b" | "2x" | "2y", cost, rest] if cost.len() == 2 && rest.len() == 53)
}

/// The work is done for a password that is too long too, so that its length does not show in the time.
fn check(password: &str, hash: &str) -> bool {
    // A hash that is not bcrypt's belongs to no password.
    bcrypt::verify(password, hash).unwrap_or(false) && password.len() <= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_passwords_are_refused_when_set_and_never_match() {
        let passwords = Passwords::with_cost(4).unwrap();
        let (longest, longer) = ("x".repeat(LONGEST), "x".repeat(LONGEST + 1));
        assert_eq!(passwords.hash_blocking(&longer), Err(PasswordError::TooLong));
        let hash = passwords.hash_blocking(&longest).unwrap();
        assert!(check(&longest, &hash));
        assert!(!check(&longer, &hash), "a longer password should not match by being cut off");
        assert!(!check("x", "not a hash"));
    }

    #[actix_web::test]
    async fn an_unknown_user_and_one_without_a_password_match_nothing_after_the_same_work() {
        let passwords = Passwords::with_cost(4).unwrap();
        for (done, hash) in [None, Some(""), Some("!"), Some("$2b$04$short")].into_iter().enumerate() {
            assert_eq!(passwords.checks(), done as u64);
            let password = "nobody has this password".to_owned();
            assert_eq!(passwords.matches(password, hash.map(str::to_owned)).await, Ok(false), "{hash:?}");
        }
        let hash = passwords.hash_blocking("right").unwrap();
        assert_eq!(passwords.matches("right".to_owned(), Some(hash)).await, Ok(true));
        assert_eq!(passwords.checks(), 5);
    }
}
