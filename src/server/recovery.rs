//! What an earlier process left behind: the journal is opened and its open sessions are closed, before any stream
//! is started.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kinora_actors::domain::EndReason;
use kinora_actors::hub::Hub;
use kinora_actors::ports::{Clock, EventSink};
use kinora_actors::restart::closing_events;
use slog::{Logger, info, warn};

use super::{StartError, away};
use crate::journal::{Journal, JournalLimits, JournalSink, Recovered};
use crate::store::{SessionEnd, Store};

/// The journal is kept in so many segments; whole ones are removed once they are stored.
const SEGMENTS: u64 = 32;
/// Events are on disk at the latest after this time.
const SYNC_EVERY: Duration = Duration::from_millis(200);

/// Opens the journal and ends the sessions that were left open in it; gives the journal and those sessions.
///
/// The only server of a database ends those that the store has open too. Among several they may run elsewhere: those
/// of servers that are lost are ended by the housekeeping, in time.
///
/// # Errors
/// [`StartError::Unavailable`] when journal or store cannot be used.
pub(super) async fn open_journal(
    (data, max_bytes): (&Path, u64),
    hub: &Arc<Hub>,
    (store, is_alone): (&Store, bool),
    clock: &dyn Clock,
    log: &Logger,
) -> Result<(Arc<Journal>, Vec<String>), StartError> {
    let limits = JournalLimits { max_bytes, segment_bytes: max_bytes / SEGMENTS, sync_every: SYNC_EVERY };
    let (journal, recovered) = Journal::open(&data.join("journal"), limits).map_err(away)?;
    let journal = Arc::new(journal);
    close_interrupted(&journal, hub, &recovered, clock, log);
    if is_alone {
        let end = SessionEnd { at_us: clock.unix_us(), reason: EndReason::Restart.code().to_owned() };
        store.close_open_sessions(&end).await.map_err(away)?;
    }
    let sessions = recovered.sessions.iter().map(|session| session.session.0.to_string()).collect();
    Ok((journal, sessions))
}

/// Writes the last events of the sessions that an earlier process left open.
fn close_interrupted(
    journal: &Arc<Journal>,
    hub: &Arc<Hub>,
    recovered: &Recovered,
    clock: &dyn Clock,
    log: &Logger,
) {
    if recovered.cut_bytes > 0 {
        warn!(log, "the end of the journal was torn and cut"; "bytes" => recovered.cut_bytes);
    }
    info!(log, "journal open"; "committed" => recovered.committed.0, "interrupted" => recovered.sessions.len());
    for session in &recovered.sessions {
        let mut sink = JournalSink {
            journal: Arc::clone(journal),
            hub: Arc::clone(hub),
            session: session.session.clone(),
            stream: Arc::clone(&session.stream),
        };
        for event in closing_events(session, recovered.lost_power, clock.unix_us()) {
            if let Err(error) = sink.append(&event) {
                warn!(log, "an interrupted session could not be closed"; "error" => %error);
            }
        }
        info!(log, "closed an interrupted session"; "session" => &*session.session.0, "last_seq" => session.last_seq);
    }
}
