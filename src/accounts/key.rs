//! Keys of agents: `kin_<id>_<secret>`. The prefix lets scanners find keys that were published by mistake.

use super::secret::{self, Digest, NoRandomness, Secret};

/// What every key begins with.
const PREFIX: &str = "kin_";
/// Random bytes of the public part.
const ID_BYTES: usize = 6;

/// A new key. Shown once; its owner keeps the text, the server keeps `id` and `hash`.
pub(crate) struct AgentKey {
    /// The public part, which lists and logs tell.
    pub(crate) id: String,
    /// The whole key.
    pub(crate) text: String,
    /// What is kept.
    pub(crate) hash: Digest,
}

impl AgentKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        let id = secret::hex(&secret::random::<ID_BYTES>()?);
        let secret = Secret::new()?;
        Ok(Self { text: format!("{PREFIX}{id}_{}", secret.expose()), hash: secret.digest(), id })
    }

    /// Identity and hash of a text that looks like a key; `None` for other texts, tokens for example.
    pub(crate) fn parse(text: &str) -> Option<(&str, Digest)> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        Some((id, secret::digest(secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_a_token_is_no_key() {
        let key = AgentKey::new().unwrap();
        assert_eq!(AgentKey::parse(&key.text), Some((key.id.as_str(), key.hash)));
        assert!(key.text.len() == 4 + 12 + 1 + 64 && !key.text.contains(|c: char| c.is_whitespace()));
        assert_eq!(AgentKey::parse("eyJhbGciOiJIUzI1NiJ9.e30.x"), None);
    }
}
