//! Takes credentials out of a text that is, or holds, an address.
//!
//! It errs on the safe side: what might be a password is hidden, though it was none.

/// Parameters whose values are secret, wherever `name=value` stands: cameras put them in queries and in paths.
const SECRET: [&str; 8] = ["pass", "pwd", "user", "token", "secret", "key", "auth", "sig"];

/// `text` with `***` for the user information of each `scheme://` in it and for the value of each secret parameter.
pub(super) fn clean(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(|word| parameters(&user_information(word))).collect()
}

/// Hides all from `://` to the last `@`, a password with unescaped slashes included.
fn user_information(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() => format!("{scheme}://***@{host}"),
        _ => word.to_owned(),
    }
}

/// Hides `value` in each `name=value` whose name is secret. A value ends at `&`, `;`, `#`, a quote or a bracket; the
/// slash and the comma may belong to it.
fn parameters(word: &str) -> String {
    let mut shown = String::new();
    let mut rest = word;
    while let Some(equals) = rest.find('=') {
        let (before, after) = (&rest[..equals], &rest[equals + 1..]);
        let name = before.rsplit(['?', '&', '/', ';', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let is_end = |c: char| "&;#'\"`)>".contains(c) || c.is_whitespace();
        let end = after.find(is_end).unwrap_or(after.len());
        let secret = SECRET.iter().any(|secret| name.contains(secret));
        shown.push_str(before);
        shown.push('=');
        if secret && end > 0 {
            shown.push_str("***");
            rest = &after[end..];
        } else {
            rest = after;
        }
    }
    shown + rest
}
