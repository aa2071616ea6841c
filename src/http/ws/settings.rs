//! The limits of subscriptions; tests inject shorter ones.

use std::time::Duration;

use kinora_actors::hub::QueueBound;

/// Limits, deadlines and bounds of subscriptions.
#[derive(Clone, Debug)]
pub(crate) struct WsSettings {
    /// Connections of one user.
    pub(crate) max_per_user: usize,
    /// Connections of all users.
    pub(crate) max_total: usize,
    /// What may wait for a connection before it becomes a gap.
    pub(crate) queue: QueueBound,
    /// A connection that takes nothing for so long is ended with 4408.
    pub(crate) stall_limit: Duration,
    /// From ping to ping; a connection that missed two pongs is ended at the third.
    pub(crate) ping_every: Duration,
    /// From look to look whether the caller may still be here.
    pub(crate) check_every: Duration,
    /// From the attempt to close to the end of the socket.
    pub(crate) close_grace: Duration,
    /// Events that are read from the database at once.
    pub(crate) history_page: usize,
    /// How long a resume waits for events that are on their way to the database.
    pub(crate) history_patience: Duration,
    /// From look to look while it waits.
    pub(crate) history_retry: Duration,
    /// Messages that may wait for the actor. One batch of events is out at a time: the rest is room for control.
    pub(crate) mailbox: usize,
}

impl Default for WsSettings {
    fn default() -> Self {
        Self {
            max_per_user: 16,
            max_total: 256,
            // Ten seconds at 100 events a second.
            queue: QueueBound { events: 1_024, bytes: 4 << 20 },
            stall_limit: Duration::from_secs(15),
            ping_every: Duration::from_secs(30),
            check_every: Duration::from_secs(2),
            close_grace: Duration::from_secs(2),
            history_page: 256,
            history_patience: Duration::from_secs(10),
            history_retry: Duration::from_millis(200),
            mailbox: 16,
        }
    }
}
