//! When to tell a server that somebody is still there, and how.

use std::time::{Duration, Instant};

use crate::message::{Headers, leading_number};

/// A server that names no time means a minute (RFC 2326, section 12.37).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A session's name, and how long it lives without a word from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionId {
    pub(super) id: String,
    pub(super) timeout: Duration,
}

impl SessionId {
    /// For a server that forgot to name the session.
    pub(super) fn nameless() -> Self {
        Self { id: String::new(), timeout: DEFAULT_TIMEOUT }
    }

    /// Reads `Session: 12345;timeout=60`, with blanks anywhere.
    pub(super) fn read(headers: &Headers) -> Option<Self> {
        let mut parts = headers.get("Session")?.split(';').map(str::trim);
        let id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let seconds = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
            .and_then(|(_, value)| leading_number(value))
            .filter(|&seconds| seconds > 0);
        let timeout = seconds.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
        Some(Self { id, timeout })
    }
}

/// The schedule of one session.
#[derive(Clone, Debug)]
pub(super) struct KeepAlive {
    interval: Duration,
    due: Instant,
    uses_get_parameter: bool,
    /// The last one was a second try.
    is_second_try: bool,
}

impl KeepAlive {
    /// Twice within the session's time, so that one may be lost. `public` is what the server says it understands.
    pub(super) fn new(timeout: Duration, public: Option<&str>, now: Instant) -> Self {
        let interval = (timeout / 2).clamp(Duration::from_millis(500), Duration::from_secs(30));
        let known =
            |methods: &str| methods.split(',').any(|name| name.trim().eq_ignore_ascii_case("GET_PARAMETER"));
        Self {
            interval,
            due: now + interval,
            uses_get_parameter: public.is_some_and(known),
            is_second_try: false,
        }
    }

    /// The method to send, when it is time.
    pub(super) fn due(&mut self, now: Instant) -> Option<&'static str> {
        if now < self.due {
            return None;
        }
        self.due = now + self.interval;
        Some(if self.uses_get_parameter { "GET_PARAMETER" } else { "OPTIONS" })
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Instant {
        self.due
    }

    /// The server refused the last one: OPTIONS is what every server has to answer.
    pub(super) fn refused(&mut self) {
        self.uses_get_parameter = false;
    }

    /// The server took the last one.
    pub(super) fn accepted(&mut self) {
        self.is_second_try = false;
    }

    /// The last one lacked the right authorisation: once more at once, but not again and again.
    pub(super) fn again(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.is_second_try, true) {
            self.due = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Decoder, Item};

    fn session(line: &str) -> Option<(String, u64)> {
        let mut decoder = Decoder::default();
        decoder.push(format!("RTSP/1.0 200 OK\r\n{line}\r\n\r\n").as_bytes());
        let Ok(Some(Item::Response(response))) = decoder.next() else { panic!("{line}") };
        SessionId::read(&response.headers).map(|session| (session.id, session.timeout.as_secs()))
    }

    #[test]
    fn session_headers_are_read_however_they_are_written() {
        assert_eq!(session("Session: 12345;timeout=30"), Some(("12345".to_owned(), 30)));
        assert_eq!(session("session:  a-b_c ; Timeout = 30 sec ;x"), Some(("a-b_c".to_owned(), 30)));
        assert_eq!(session("Session: 7"), Some(("7".to_owned(), 60)));
        assert_eq!(session("Session: 7;timeout=0"), Some(("7".to_owned(), 60)));
        assert_eq!(session("Session: ;timeout=9"), None);
        assert_eq!(session("Date: today"), None);
    }

    #[test]
    fn the_schedule_follows_the_server() {
        let now = Instant::now();
        let mut keep_alive = KeepAlive::new(Duration::from_secs(20), Some("OPTIONS, get_parameter"), now);
        assert_eq!(keep_alive.due(now + Duration::from_secs(9)), None);
        assert_eq!(keep_alive.due(now + Duration::from_secs(10)), Some("GET_PARAMETER"));
        assert_eq!(keep_alive.next(), now + Duration::from_secs(20));
        keep_alive.refused();
        assert_eq!(keep_alive.due(now + Duration::from_secs(20)), Some("OPTIONS"));
        assert_eq!(KeepAlive::new(Duration::from_secs(600), None, now).next(), now + Duration::from_secs(30));
    }
}
