//! What fields of a body may be: checked before the database sees them, and told in one way.

use crate::accounts::SHORTEST_PASSWORD;
use crate::http::problem::ApiError;

/// A name in an address: a user, a role, a stream.
///
/// # Errors
/// 400 `invalid_name`.
pub(super) fn name(text: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::bad_request("invalid_name", "A name has 1 to 64 letters, digits, dots, - and _."))
}

/// A name for people.
///
/// # Errors
/// 400 `invalid_name`.
pub(super) fn label(text: &str) -> Result<(), ApiError> {
    if (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(ApiError::bad_request("invalid_name", "A name has 1 to 64 characters."))
}

/// A mail address; only what every address has is asked for.
///
/// # Errors
/// 400 `invalid_email`.
pub(super) fn email(text: &str) -> Result<(), ApiError> {
    let parts = text.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control() || ",;<>".contains(c));
    let sane = parts.is_some_and(|(_, host)| !host.contains('@')) && plain && text.len() <= 255;
    // What the mailer would not send to is refused while the caller can still mend it.
    if sane && text.parse::<lettre::message::Mailbox>().is_ok() {
        return Ok(());
    }
    Err(ApiError::bad_request("invalid_email", "This is no mail address."))
}

/// The size of a page.
///
/// # Errors
/// 400 `invalid_query` for one that is not 1 to `largest`.
pub(super) fn limit(asked: Option<u32>, usual: u32, largest: u32) -> Result<u32, ApiError> {
    match asked.unwrap_or(usual) {
        limit if (1..=largest).contains(&limit) => Ok(limit),
        _ => Err(ApiError::bad_request("invalid_query", "limit= is 1 to 1000.")),
    }
}

/// A new password.
///
/// # Errors
/// 400 `password_too_short`.
pub(super) fn password(text: &str) -> Result<(), ApiError> {
    if text.chars().count() >= SHORTEST_PASSWORD {
        return Ok(());
    }
    Err(ApiError::bad_request("password_too_short", "A password has at least 8 characters."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_no_mail_can_be_sent_to_is_refused_beforehand() {
        assert!(email("ada@example.org").is_ok());
        for wrong in ["ada", "@example.org", "a@b@c", "a b@c", "<a@b>", &format!("0@{}", "0".repeat(230))] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }
}
