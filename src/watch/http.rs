//! Two small HTTP requests: logging in, and the list of sessions.
//!
//! They speak HTTP/1.0, whose answers end with the connection, so there is nothing chunked to understand.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::WatchError;

/// More than any answer of these two.
const LARGEST_ANSWER: u64 = 8 << 20;

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is worth trying again.
    Passing(String),
    /// It is not.
    Final(WatchError),
    /// The token is not good (any more): a new one may be.
    Unauthorized(String),
}

impl Failure {
    /// The same, worth another try.
    pub(super) fn passing(self) -> Self {
        match self {
            Self::Final(error) => Self::Passing(error.to_string()),
            other => other,
        }
    }
}

/// A session in the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedSession {
    /// Its identity.
    pub(super) id: String,
    /// Its stream.
    pub(super) stream: String,
    /// Its last number.
    pub(super) last_seq: u64,
}

#[derive(Deserialize)]
struct SessionList {
    sessions: Vec<ListedSession>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

/// A new token.
pub(super) async fn login(
    authority: &str,
    username: &str,
    password: &str,
    within: Duration,
) -> Result<String, Failure> {
    let body = serde_json::json!({"username": username, "password": password}).to_string();
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.0\r\nhost: {authority}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let granted: Granted = ask(authority, &format!("{head}{body}"), within).await?;
    Ok(granted.access_token)
}

/// The sessions that the server lists.
pub(super) async fn sessions(
    authority: &str,
    token: &str,
    within: Duration,
) -> Result<Vec<ListedSession>, Failure> {
    let request = format!(
        "GET /api/v1/sessions HTTP/1.0\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let list: SessionList = ask(authority, &request, within).await?;
    Ok(list.sessions)
}

async fn ask<T: DeserializeOwned>(authority: &str, request: &str, within: Duration) -> Result<T, Failure> {
    let answered = timeout(within, exchange(authority, request)).await;
    let answer = answered
        .map_err(|_| Failure::Passing("the server does not answer".to_owned()))?
        .map_err(|error| Failure::Passing(format!("{authority}: {error}")))?;
    let (status, body) =
        split(&answer).ok_or_else(|| Failure::Passing("the answer is not HTTP".to_owned()))?;
    if status == 200 {
        return serde_json::from_slice(body)
            .map_err(|error| Failure::Passing(format!("the answer is not understood: {error}")));
    }
    Err(refusal(status, body))
}

async fn exchange(authority: &str, request: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(authority).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, &answer[end + 4..]))
}

/// What a refusal means: servers and their neighbours recover, other refusals stay.
pub(super) fn refusal(status: u16, body: &[u8]) -> Failure {
    let message = detail(body).unwrap_or_else(|| "no reason was given".to_owned());
    match status {
        401 => Failure::Unauthorized(message),
        408 | 425 | 429 | 500.. => Failure::Passing(format!("status {status}: {message}")),
        _ => Failure::Final(WatchError::Refused { status, message }),
    }
}

/// The sentence in a problem document.
fn detail(body: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    problem["detail"].as_str().map(str::to_owned)
}
