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
