//! Digest (RFC 2617 and RFC 7616): a proof that one knows the password, bound to method, address and the server's nonce.
//!
//! MD5, SHA-256 and SHA-512-256, each also as `-sess`; `qop` auth or none, since many cameras still speak RFC 2069. The body is
//! never protected (`auth-int`): no request of ours has one.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sha2::{Sha256, Sha512_256};

use super::{Challenge, Credentials, Strategy};
use crate::error::{Error, ErrorKind};

/// Answers one challenge; counts how often its nonce was used.
pub(crate) struct Digest {
    credentials: Credentials,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the server wrote it, since some compare it letter by letter; none when it named none.
    algorithm_name: Option<String>,
    algorithm: Algorithm,
    /// `qop=auth` was offered; without it the answer is RFC 2069's.
    qop_auth: bool,
    /// The server says that it reads UTF-8 in the extended notation.
    charset_utf8: bool,
    userhash: bool,
    cnonce: String,
    uses: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Algorithm {
    hash: Hash,
    session: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
    Sha512Half,
}

impl Hash {
    /// The parts joined by colons, hashed, in lower-case hexadecimal.
    fn of(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hexadecimal(&Md5::digest(text)),
            Self::Sha256 => hexadecimal(&Sha256::digest(text)),
            Self::Sha512Half => hexadecimal(&Sha512_256::digest(text)),
        }
    }
}

impl Digest {
    /// Whether the challenge can be answered here.
    pub(crate) fn understands(challenge: &Challenge) -> bool {
        challenge.is("Digest")
            && challenge.get("nonce").is_some()
            && algorithm(challenge.get("algorithm")).is_some()
            && challenge.get("qop").is_none_or(|qop| qop.trim().is_empty() || offers_auth(qop))
    }

    /// # Errors
    /// `Unauthorized` for a challenge that is not [understood](Self::understands), `Unavailable` without randomness.
    pub(crate) fn new(challenge: &Challenge, credentials: &Credentials) -> Result<Self, Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| Error::unavailable(format!("the system gives no random numbers: {error}")))?;
        Self::with_cnonce(challenge, credentials, hexadecimal(&random))
    }

    fn with_cnonce(challenge: &Challenge, credentials: &Credentials, cnonce: String) -> Result<Self, Error> {
        let refuse =
            || Error::new(ErrorKind::Unauthorized, "the server's Digest challenge cannot be answered here");
        if !Self::understands(challenge) {
            return Err(refuse());
        }
        let text = |name| challenge.get(name).map(str::to_owned);
        Ok(Self {
            credentials: credentials.clone(),
            realm: text("realm").unwrap_or_default(),
            nonce: text("nonce").unwrap_or_default(),
            opaque: text("opaque"),
            algorithm: algorithm(challenge.get("algorithm")).ok_or_else(refuse)?,
            algorithm_name: text("algorithm").filter(|name| !name.trim().is_empty()),
            qop_auth: challenge.get("qop").is_some_and(offers_auth),
            charset_utf8: challenge.get("charset").is_some_and(|name| name.eq_ignore_ascii_case("utf-8")),
            userhash: challenge.get("userhash").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            cnonce,
            uses: 0,
        })
    }

    /// The proof (RFC 7616, section 3.4.1).
    fn response(&self, method: &str, uri: &str, count: &str) -> String {
        let Algorithm { hash, session } = self.algorithm;
        let mut secret = hash.of(&[self.credentials.username(), &self.realm, self.credentials.password()]);
        if session {
            secret = hash.of(&[&secret, &self.nonce, &self.cnonce]);
        }
        let request = hash.of(&[method, uri]);
        match self.qop_auth {
            true => hash.of(&[&secret, &self.nonce, count, &self.cnonce, "auth", &request]),
            false => hash.of(&[&secret, &self.nonce, &request]),
        }
    }

    /// The user's name: hashed where the server asks for that, extended where a quoted string cannot hold it.
    fn write_username(&self, header: &mut String) {
        let name = self.credentials.username();
        if self.userhash {
            quoted(header, "username", &self.algorithm.hash.of(&[name, &self.realm]));
            header.push_str(", userhash=true");
        } else if name.contains(char::is_control) || (self.charset_utf8 && !name.is_ascii()) {
            let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
            let _ = write!(header, "username*=UTF-8''{encoded}");
        } else {
            quoted(header, "username", name);
        }
    }
}

impl Strategy for Digest {
    fn authorize(&mut self, method: &str, uri: &str) -> Result<String, Error> {
        self.uses += 1;
        let count = format!("{:08x}", self.uses);
        let mut header = "Digest ".to_owned();
        self.write_username(&mut header);
        for (name, value) in [("realm", &*self.realm), ("nonce", &self.nonce), ("uri", uri)] {
            header.push_str(", ");
            quoted(&mut header, name, value);
        }
        if let Some(name) = &self.algorithm_name {
            let _ = write!(header, ", algorithm={name}");
        }
        // A session key is made with the client's nonce, so the server has to know it even without qop.
        if self.qop_auth || self.algorithm.session {
            let _ = write!(header, ", cnonce=\"{}\"", self.cnonce);
        }
        if self.qop_auth {
            let _ = write!(header, ", nc={count}, qop=auth");
        }
        let _ = write!(header, ", response=\"{}\"", self.response(method, uri, &count));
        if let Some(opaque) = &self.opaque {
            header.push_str(", ");
            quoted(&mut header, "opaque", opaque);
        }
        Ok(header)
    }
}

/// The algorithm of that name; MD5 when the server names none.
fn algorithm(name: Option<&str>) -> Option<Algorithm> {
    let name = name.unwrap_or_default().trim().to_ascii_lowercase();
    let (name, session) = name.strip_suffix("-sess").map_or((&*name, false), |name| (name, true));
    let hash = match name {
        "" | "md5" => Hash::Md5,
        "sha-256" | "sha256" => Hash::Sha256,
        "sha-512-256" => Hash::Sha512Half,
        _ => return None,
    };
    Some(Algorithm { hash, session })
}

fn offers_auth(qop: &str) -> bool {
    qop.split([',', ' ']).any(|offer| offer.trim().eq_ignore_ascii_case("auth"))
}

fn quoted(header: &mut String, name: &str, value: &str) {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    let _ = write!(header, "{name}=\"{escaped}\"");
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
