//! Takes credentials out of addresses, and out of what FFmpeg says of them.
//!
//! It errs on the safe side: what might be a password is hidden, though it was none. Of an address nothing has to be
//! guessed but names of parameters in its path; a token that stands in a path without a name cannot be told from it.

/// Parameters whose values are secret, wherever `name=value` stands: cameras put them in paths too.
const SECRET: [&str; 12] =
    ["pas", "pwd", "pw", "usr", "use", "login", "tok", "secret", "key", "auth", "sig", "cred"];

const HIDDEN: &str = "***";

/// `scheme://rest` with `***` for the user information, for each value of the query, for the fragment and for the value
/// of each secret parameter of the path. Where it cannot be told what is what, nothing is shown.
pub(super) fn address(scheme: &str, rest: &str) -> String {
    if is_ambiguous(rest) {
        return format!("{scheme}://{HIDDEN}");
    }
    let Parts { user, place, query, fragment } = Parts::of(rest);
    let user = user.filter(|user| !user.is_empty()).map_or("", |_| "***@");
    // Without a user, an `@` is no more than a habit of multicast addresses.
    let at = if rest.starts_with('@') && user.is_empty() { "@" } else { "" };
    let query = query.map_or(String::new(), |query| format!("?{}", hide_query(query)));
    let fragment = fragment.map_or("", |_| "#***");
    format!("{scheme}://{user}{at}{}{query}{fragment}", hide_parameters(place, |_| false))
}

/// FFmpeg's `text` about the network address `target`, which is shown as `shown`.
pub(super) fn text(text: &str, target: &str, shown: &str) -> String {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let secrets = Parts::of(rest).secrets();
    // FFmpeg's lines are cut at a length, perhaps in the middle of a password.
    let cut = target.len() - rest.len() + 1;
    let begun =
        (cut..target.len()).rev().find(|&len| target.is_char_boundary(len) && text.ends_with(&target[..len]));
    let (text, end) = begun.map_or((text, ""), |len| (&text[..text.len() - len], shown));
    let clean = |piece: &str| {
        let piece = secrets.iter().fold(piece.to_owned(), |piece, secret| hide_word(&piece, secret));
        piece.split_inclusive(char::is_whitespace).map(hide_in_word).collect::<String>()
    };
    text.split(target).map(clean).collect::<Vec<_>>().join(shown) + end
}

/// What stands behind `scheme://`, by position.
struct Parts<'a> {
    user: Option<&'a str>,
    /// Host, port and path.
    place: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Self {
        let (rest, fragment) = split(rest, '#');
        let (rest, query) = split(rest, '?');
        // To the last `@`, so that a password with unescaped slashes is hidden too.
        match rest.rsplit_once('@') {
            Some((user, place)) => Self { user: Some(user), place, query, fragment },
            None => Self { user: None, place: rest, query, fragment },
        }
    }

    /// All that is hidden, as it is written and percent-decoded; the longest first.
    fn secrets(&self) -> Vec<String> {
        let values = self.query.into_iter().flat_map(|query| {
            query.split(['&', ';']).map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value))
        });
        let user = self.user.into_iter().flat_map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            [user, name, password]
        });
        let written = user.chain(values).chain(self.fragment).filter(|secret| !secret.is_empty());
        let mut all: Vec<String> = written.flat_map(|secret| [secret.to_owned(), decoded(secret)]).collect();
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        all
    }
}

/// Whether an `@` follows a `?` or `#` that no path precedes: a password that should have been escaped, or a query.
fn is_ambiguous(rest: &str) -> bool {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    !rest[end..].starts_with('/') && rest[end..].contains('@')
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// `a=***&b=***`; what is no pair is hidden whole.
fn hide_query(query: &str) -> String {
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None if pair.is_empty() => String::new(),
        None => HIDDEN.to_owned(),
    };
    query.split('&').map(hide).collect::<Vec<_>>().join("&")
}

/// Hides `secret` where it stands by itself; inside a longer word it is another word.
fn hide_word(text: &str, secret: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let alone =
            edge(before.chars().next_back().or(shown.chars().next_back())) && edge(after.chars().next());
        shown.push_str(before);
        shown.push_str(if alone { HIDDEN } else { secret });
        rest = after;
    }
    shown + rest
}

/// A word of a text, which may be another address: of a redirection, or put together by FFmpeg.
fn hide_in_word(word: &str) -> String {
    let quote = |c: char| "'\"`)>".contains(c) || c.is_whitespace();
    let Some((scheme, rest)) = word.split_once("://") else {
        return hide_parameters(word, quote);
    };
    let end = rest.find(quote).unwrap_or(rest.len());
    let (rest, after) = rest.split_at(end);
    format!("{}{after}", address(scheme, rest))
}

/// Hides `value` in each `name=value` whose name is secret. A value ends at `&`, `;` or `is_end`; the slash and the
/// comma may belong to it.
fn hide_parameters(text: &str, is_end: impl Fn(char) -> bool) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let (before, after) = (&rest[..equals], &rest[equals + 1..]);
        let name = before.rsplit(['?', '&', '/', ';', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let end = after.find(|c: char| "&;".contains(c) || is_end(c)).unwrap_or(after.len());
        let secret = SECRET.iter().any(|secret| name.contains(secret));
        shown.push_str(before);
        shown.push('=');
        if secret && end > 0 {
            shown.push_str(HIDDEN);
            rest = &after[end..];
        } else {
            rest = after;
        }
    }
    shown + rest
}

/// Percent-decoded, as FFmpeg may show it.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        out.push(code.unwrap_or(byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
