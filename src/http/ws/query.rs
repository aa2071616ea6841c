//! What a subscriber asks for in the query, and whether there is such a thing.

use std::sync::Arc;

use actix_web::web::Query;
use kinora_actors::domain::{EventKind, SessionId};
use kinora_actors::hub::{Filter, Recent};

use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::problem::ApiError;

/// Names in one query; more are a mistake or worse.
const MOST_NAMES: usize = 64;

/// A number that nobody was told.
const NOT_THERE: ApiError =
    ApiError::conflict("seq_ahead", "after= is greater than the last number of the session.");
/// Another server may have told it and not stored it yet, or have died before it did.
const NOT_HERE_YET: ApiError =
    ApiError::conflict("seq_ahead", "What comes before after= has not arrived here yet. Try again.")
        .with_header("retry-after", "1");

/// What a subscriber wants. Empty lists mean everything.
#[derive(Debug, Default)]
pub(in crate::http) struct Wanted {
    streams: Vec<Arc<str>>,
    sessions: Vec<SessionId>,
    kinds: Vec<EventKind>,
    /// Where to resume in the one session.
    after: Option<u64>,
    /// What is known of that session.
    known: Ended,
    /// Streams that the caller may not see.
    hidden: Vec<Arc<str>>,
    /// The caller may see no stream at all.
    nothing: bool,
}

/// A session's end, as far as it is known when a subscription to it begins.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    last_seq: u64,
    over: bool,
}

/// Where a subscription resumes.
#[derive(Clone, Debug)]
pub(super) struct Resume {
    /// In which session.
    pub(super) session: SessionId,
    /// The last number that the subscriber has.
    pub(super) after: u64,
    /// The session's last number when the subscription began, at least.
    pub(super) last_seq: u64,
    /// Whether the session had ended by then.
    pub(super) over: bool,
}

impl Wanted {
    /// Reads a query.
    ///
    /// # Errors
    /// 400 that says which part is not understood.
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| bad("The query is not understood."))?
            .into_inner();
        Self::of(pairs)
    }

    /// The same from the members of a query.
    ///
    /// # Errors
    /// 400 that says which part is not understood.
    pub(in crate::http) fn of(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        if pairs.len() > MOST_NAMES {
            return Err(bad("The query names too much."));
        }
        let mut wanted = Self::default();
        for (key, value) in pairs {
            wanted.take(&key, &value)?;
        }
        if wanted.after.is_some() && wanted.sessions.len() != 1 {
            return Err(bad("after= goes with exactly one session=."));
        }
        Ok(wanted)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), ApiError> {
        match key {
            "stream" => self.streams.push(Arc::from(value)),
            "session" => self.sessions.push(SessionId(Arc::from(value))),
            "events" => {
                for name in value.split(',') {
                    let kind = EventKind::from_name(name.trim());
                    self.kinds.push(kind.ok_or(bad("events= names an event that does not exist."))?);
                }
            }
            "after" => {
                let after = value.parse().map_err(|_| bad("after= has to be a number."))?;
                self.after = Some(after);
            }
            _ => return Err(bad("The query has a member that does not exist.")),
        }
        Ok(())
    }

    /// Looks up every stream and session that was named, and leaves out what the caller may not see: nobody can
    /// tell what is hidden from what there is not.
    ///
    /// # Errors
    /// 403 for a kind of events that a key does not cover, 404 for what there is not, 409 `seq_ahead` for a number
    /// that is not there yet.
    pub(in crate::http) async fn limit(&mut self, app: &App, caller: &Caller) -> Result<(), ApiError> {
        self.must_exist(app, caller).await?;
        // Hidden ones are left out by name, so that a stream that is made later is not missed.
        self.hidden = caller.identity.hidden.iter().map(|name| Arc::from(name.as_str())).collect();
        if let (true, Some(named)) = (self.streams.is_empty(), &caller.scope.streams) {
            self.streams =
                named.iter().filter(|name| caller.sees(name)).map(|name| Arc::from(name.as_str())).collect();
            self.nothing = self.streams.is_empty();
        }
        if let Some(allowed) = caller.kinds() {
            if !self.kinds.iter().all(|kind| allowed.contains(kind)) {
                return Err(ApiError::forbidden());
            }
            if self.kinds.is_empty() {
                self.kinds = allowed;
            }
        }
        Ok(())
    }

    async fn must_exist(&mut self, app: &App, caller: &Caller) -> Result<(), ApiError> {
        let streams = if self.streams.is_empty() { Vec::new() } else { app.ports.streams.streams() };
        let exists =
            |name: &Arc<str>| caller.sees(name) && streams.iter().any(|stream| stream.name == **name);
        if !self.streams.iter().all(exists) {
            return Err(ApiError::not_found("stream_not_found", "There is no stream of this name."));
        }
        for session in self.sessions.clone() {
            let (known, stream) = look_up(app, &session).await?;
            if !caller.sees(&stream) {
                return Err(no_session());
            }
            self.known = known;
        }
        if self.after.is_some_and(|after| after > self.known.last_seq) {
            let elsewhere = |session| app.ports.streams.is_elsewhere(session);
            let may_come = !self.known.over && self.sole_session().is_some_and(elsewhere);
            return Err(if may_come { NOT_HERE_YET } else { NOT_THERE });
        }
        Ok(())
    }

    /// Where to resume, if the subscriber wants to.
    pub(super) fn resume(&self) -> Option<Resume> {
        let session = self.sole_session()?.clone();
        let Ended { last_seq, over } = self.known;
        self.after.map(|after| Resume { session, after, last_seq, over })
    }

    /// The session, if it is exactly one: such a subscription is over with it.
    pub(super) fn sole_session(&self) -> Option<&SessionId> {
        if let [session] = &self.sessions[..] { Some(session) } else { None }
    }

    /// The filter of what is sent. Gaps pass every filter: a loss is never hidden.
    pub(super) fn filter(&self) -> Filter {
        fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
            if list.is_empty() { None } else { Some(list.to_vec()) }
        }
        let kinds = some(&self.kinds).map(|mut kinds| {
            kinds.push(EventKind::Gap);
            kinds
        });
        let streams = if self.nothing { Some(Vec::new()) } else { some(&self.streams) };
        Filter { streams, sessions: some(&self.sessions), kinds, hidden: self.hidden.clone() }
    }
}

/// The hub knows what runs; the database knows the rest.
async fn look_up(app: &App, session: &SessionId) -> Result<(Ended, Arc<str>), ApiError> {
    if let Some(last_seq) = app.hub.last_seq(session)
        && let Recent::Complete(events) = app.hub.recent(session, last_seq.saturating_sub(1))
        && let Some(last) = events.last()
    {
        let over = last.kind == EventKind::SessionEnded;
        return Ok((Ended { last_seq, over }, Arc::clone(&last.stream)));
    }
    let status = app.ask("sessions", app.ports.streams.session(session)).await?.ok_or(no_session())?;
    let ended = Ended { last_seq: status.last_seq, over: status.ended_at.is_some() };
    Ok((ended, status.stream.into()))
}

const fn no_session() -> ApiError {
    ApiError::not_found("session_not_found", "There is no session of this id.")
}

fn bad(detail: &'static str) -> ApiError {
    ApiError::bad_request("invalid_query", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_completely_or_refused() {
        let wanted =
            Wanted::parse("stream=a&stream=b&session=s&events=frameAnalyzed,streamState&after=7").unwrap();
        assert_eq!(wanted.streams.len(), 2);
        assert_eq!(wanted.resume().map(|resume| resume.after), Some(7));
        let kinds = wanted.filter().kinds.unwrap();
        assert_eq!(kinds, [EventKind::FrameAnalyzed, EventKind::StreamState, EventKind::Gap]);
        for query in
            ["after=1", "after=1&session=a&session=b", "events=nope", "after=x&session=a", "ticket=1"]
        {
            assert!(Wanted::parse(query).is_err(), "{query} should be refused");
        }
        let everything = Wanted::parse("").unwrap();
        assert!(everything.filter().kinds.is_none() && everything.filter().streams.is_none());
    }
}
