//! What is watched: the server's authority and the filter, out of one address.

use tokio_tungstenite::tungstenite::http::Uri;

use super::WatchError;

/// The path of subscriptions.
const PATH: &str = "/ws/analysis";

/// A parsed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `host:port`.
    pub(super) authority: String,
    /// The query without `after`.
    query: Vec<(String, String)>,
    /// Where to begin in the one session of the query.
    pub(super) after: Option<u64>,
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Self, WatchError> {
        let wrong = |what: &str| WatchError::Address(format!("{url}: {what}"));
        let uri: Uri = url.parse().map_err(|_| wrong("this is no address"))?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => return Err(wrong("TLS is not supported here; use http:// or ws://")),
            _ => return Err(wrong("it has to begin with http:// or ws://")),
        }
        let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
        if !matches!(uri.path(), "" | "/" | PATH) {
            return Err(wrong("its path has to be empty or /ws/analysis"));
        }
        let mut query = pairs(uri.query().unwrap_or_default());
        let after = query.iter().position(|(key, _)| key == "after").map(|at| query.remove(at).1);
        let after = after.map(|text| text.parse().map_err(|_| wrong("after= has to be a number")));
        let after = after.transpose()?;
        if after.is_some() && query.iter().filter(|(key, _)| key == "session").count() != 1 {
            return Err(wrong("after= goes with exactly one session="));
        }
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        Ok(Self { authority, query, after })
    }

    /// The address of the live connection.
    pub(super) fn live(&self) -> String {
        self.address(|_| true, &[])
    }

    /// The address that resumes one session, with the same choice of events.
    pub(super) fn resume(&self, session: &str, after: u64) -> String {
        let resume = [("session".to_owned(), session.to_owned()), ("after".to_owned(), after.to_string())];
        self.address(|key| key != "session", &resume)
    }

    /// Whether a session is among what is watched.
    pub(super) fn wants(&self, session: &str, stream: &str) -> bool {
        let names = |wanted: &'static str| self.query.iter().filter(move |(key, _)| key == wanted);
        let holds = |key, value| names(key).count() == 0 || names(key).any(|(_, name)| name == value);
        holds("session", session) && holds("stream", stream)
    }

    /// The session, if exactly one is watched.
    pub(super) fn sole_session(&self) -> Option<&str> {
        let mut sessions = self.query.iter().filter(|(key, _)| key == "session");
        let first = sessions.next().map(|(_, session)| session.as_str());
        first.filter(|_| sessions.next().is_none())
    }

    fn address(&self, keep: impl Fn(&str) -> bool, more: &[(String, String)]) -> String {
        let kept = self.query.iter().filter(|(key, _)| keep(key));
        let query: Vec<_> = kept.chain(more).map(|(key, value)| format!("{key}={value}")).collect();
        format!("ws://{}{PATH}?{}", self.authority, query.join("&"))
    }
}

/// The pairs as they are written; values are sent on without decoding them.
fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_the_live_and_the_resuming_one() {
        let target = Target::parse("http://host:8080/?stream=a&session=x&after=7").unwrap();
        assert_eq!(target.live(), "ws://host:8080/ws/analysis?stream=a&session=x");
        assert_eq!(target.resume("s", 3), "ws://host:8080/ws/analysis?stream=a&session=s&after=3");
        assert_eq!((target.after, target.wants("x", "a"), target.wants("x", "b")), (Some(7), true, false));
        assert_eq!(Target::parse("ws://host").unwrap().authority, "host:80");
        for wrong in ["wss://host", "host:80", "http://host/other", "http://host?after=x"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
