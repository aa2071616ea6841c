//! Reads `WWW-Authenticate`: the challenges that a server offers (RFC 9110, section 11.6.1).
//!
//! Cameras write it carelessly: commas are doubled, missing or semicolons, values are empty, and realms hold UTF-8. All
//! of that is read; what cannot be a parameter ends the header, and what was read before it counts.

/// One way to authenticate, as the server offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// `Basic`, `Digest` or something else, as written.
    pub(crate) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter, unescaped; names ignore case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        all.next().map(|(_, value)| &**value)
    }

    pub(crate) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }
}

/// All challenges of a header's value, in the server's order.
pub(crate) fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == ';');
        let (word, after) = split_token(rest);
        if word.is_empty() {
            return challenges;
        }
        let after = after.trim_start();
        match after.strip_prefix('=') {
            None => {
                challenges.push(Challenge { scheme: word.to_owned(), parameters: Vec::new() });
                rest = after;
            }
            Some(after) => {
                let (value, after) = split_value(after.trim_start());
                // A parameter before any scheme belongs to nobody.
                if let Some(challenge) = challenges.last_mut() {
                    challenge.parameters.push((word.to_owned(), value));
                }
                rest = after;
            }
        }
    }
}

fn split_token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)));
    text.split_at(end.unwrap_or(text.len()))
}

/// A quoted string without its escapes, or everything up to a separator.
fn split_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ',' || c == ';' || c.is_whitespace()).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_one_header_are_told_apart() {
        let all =
            parse(r#"Basic realm="a, \"b\"", Digest realm="c", nonce="n=", stale=FALSE, algorithm=MD5"#);
        let schemes: Vec<_> = all.iter().map(|challenge| &*challenge.scheme).collect();
        assert_eq!(schemes, ["Basic", "Digest"]);
        assert_eq!(all[0].get("realm"), Some("a, \"b\""));
        assert_eq!((all[1].get("NONCE"), all[1].get("stale")), (Some("n="), Some("FALSE")));
        assert!(all[1].is("digest") && all[1].get("opaque").is_none());
    }

    #[test]
    fn careless_writing_is_read() {
        for written in [
            "Digest realm=\"ü\", nonce=\"n\"",
            "  Digest  realm = \"ü\" ,, nonce = n ,",
            "Digest realm=\"ü\"; nonce=\"n\"",
            "Digest realm=\"ü\" nonce=\"n\"",
            "digest realm=\"ü\", domain=, nonce=n",
            "Digest nonce=\"n\", realm=\"ü",
        ] {
            let all = parse(written);
            assert_eq!(all.len(), 1, "{written}");
            assert_eq!((all[0].get("realm"), all[0].get("nonce")), (Some("ü"), Some("n")), "{written}");
        }
        assert_eq!(parse("Basic")[0].get("realm"), None);
        assert!(parse("").is_empty() && parse("=\"x\"").is_empty());
    }
}
