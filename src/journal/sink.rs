//! The journal behind the pipeline's ports: the sink of one session, and the log that rows are written from.

use std::io;
use std::sync::Arc;

use kinora_actors::domain::{EncodedEvent, LoggedEvent, SessionId};
use kinora_actors::hub::{Hub, Published};
use kinora_actors::ports::{EventLog, EventSink};

use super::{Journal, JournalError, Reader};

/// Keeps the events of one session, then tells subscribers.
pub(crate) struct JournalSink {
    /// Where events are kept.
    pub(crate) journal: Arc<Journal>,
    /// Who is told.
    pub(crate) hub: Arc<Hub>,
    /// The session.
    pub(crate) session: SessionId,
    /// The stream's name.
    pub(crate) stream: Arc<str>,
}

impl EventSink for JournalSink {
    fn append(&mut self, event: &EncodedEvent) -> io::Result<()> {
        let logged = LoggedEvent {
            session: self.session.clone(),
            stream: Arc::clone(&self.stream),
            seq: event.seq,
            kind: event.kind,
            facts: event.facts,
            payload: event.payload().into(),
        };
        self.journal.append(&logged).map_err(|error| match error {
            JournalError::Full => io::Error::new(io::ErrorKind::StorageFull, error.to_string()),
            JournalError::Io(error) => error,
        })?;
        let published = Published::new(self.session.clone(), Arc::clone(&self.stream), event);
        self.hub.publish(&Arc::new(published));
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn may_get_room(&self) -> bool {
        // The writer of rows removes what it has stored.
        true
    }
}

/// A session may end without an event that says so: its events could not be kept, or its broadcaster did not come back in time.
/// Then its memory goes with that of sessions that ended. One that goes on with a fresh sink is taken back by its next event.
impl Drop for JournalSink {
    fn drop(&mut self) {
        self.hub.retire(&self.session);
    }
}

/// The journal as the writer of rows follows it.
pub(crate) struct JournalLog {
    journal: Arc<Journal>,
    reader: Reader,
}

impl JournalLog {
    /// A log that begins at what is not committed.
    ///
    /// # Errors
    /// When the segment cannot be opened.
    pub(crate) fn from_commit(journal: Arc<Journal>) -> io::Result<Self> {
        let reader = journal.reader(journal.committed())?;
        Ok(Self { journal, reader })
    }
}

impl EventLog for JournalLog {
    fn read(&mut self, most: usize) -> io::Result<Vec<LoggedEvent>> {
        let mut events = Vec::new();
        while events.len() < most {
            let Some(event) = self.reader.next()? else { break };
            events.push(event);
        }
        Ok(events)
    }

    fn commit(&mut self) -> io::Result<()> {
        self.journal.truncate_to(self.reader.position())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kinora_actors::domain::{EventFacts, EventKind};
    use tempfile::TempDir;

    use super::*;
    use crate::journal::JournalLimits;

    /// More sessions than a hub remembers of those that ended.
    const MANY: usize = 40;

    fn event(seq: u64, kind: EventKind) -> EncodedEvent {
        let json = format!(r#"{{"payload":{{"seq":{seq}}}}}"#).into_bytes().into();
        EncodedEvent { seq, kind, json, facts: EventFacts::default() }
    }

    #[test]
    fn a_session_that_ends_untold_is_forgotten_in_time_and_one_with_a_fresh_sink_is_not() {
        let (dir, hub) = (TempDir::new().unwrap(), Hub::new());
        let sync_every = Duration::from_secs(1);
        let limits = JournalLimits { max_bytes: 1 << 20, segment_bytes: 1 << 16, sync_every };
        let (journal, _) = Journal::open(dir.path(), limits).unwrap();
        let journal = Arc::new(journal);
        let id = |session: &str| SessionId(session.into());
        let sink = |session: &str| JournalSink {
            journal: Arc::clone(&journal),
            hub: Arc::clone(&hub),
            session: id(session),
            stream: "cam".into(),
        };
        for session in ["untold", "goes on"] {
            sink(session).append(&event(1, EventKind::FrameAnalyzed)).unwrap();
        }
        assert_eq!(hub.last_seq(&id("untold")), Some(1), "an agent may still catch up");
        let mut fresh = sink("goes on");
        fresh.append(&event(2, EventKind::FrameAnalyzed)).unwrap();
        for number in 0..MANY {
            sink(&number.to_string()).append(&event(1, EventKind::SessionEnded)).unwrap();
        }
        assert_eq!((hub.last_seq(&id("untold")), hub.last_seq(&id("goes on"))), (None, Some(2)));
    }
}
