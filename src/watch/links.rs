//! The connections of one stretch: the live one, and one for each session that is being caught up with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::Timing;
use super::link::{self, Ended, Item, Origin, Socket};
use super::target::Target;

/// Events that wait to be printed; a server that finds no room here holds them, or tells a gap.
const WAITING: usize = 256;
/// Sessions that are caught up with at once: the server allows a user few connections.
const AT_ONCE: usize = 4;

/// The connections. Dropping this ends them.
pub(super) struct Links {
    target: Target,
    token: String,
    timing: Timing,
    tasks: JoinSet<()>,
    resumed: HashMap<String, AbortHandle>,
    turns: Arc<Semaphore>,
    sender: mpsc::Sender<(Origin, Item)>,
    items: mpsc::Receiver<(Origin, Item)>,
}

impl Links {
    /// None yet.
    pub(super) fn new(target: Target, token: String, timing: Timing) -> Self {
        let (sender, items) = mpsc::channel(WAITING);
        let (tasks, resumed) = (JoinSet::new(), HashMap::new());
        Self {
            target,
            token,
            timing,
            tasks,
            resumed,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            sender,
            items,
        }
    }

    /// Reads the live connection.
    pub(super) fn begin_live(&mut self, socket: Socket) {
        self.tasks.spawn(link::read(socket, self.timing.silence, Origin::Live, self.sender.clone()));
    }

    /// Resumes a session after a number, unless that is being done. Whether it was begun.
    pub(super) fn resume(&mut self, session: &str, after: u64, delay: Duration) -> bool {
        if self.resumed.contains_key(session) {
            return false;
        }
        let (origin, sender) = (Origin::Resumed(session.to_owned()), self.sender.clone());
        let (url, token) = (self.target.resume(session, after), self.token.clone());
        let (turns, timing) = (Arc::clone(&self.turns), self.timing.clone());
        let task = self.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            let _turn = turns.acquire().await;
            match link::connect(&url, &token, timing.request).await {
                Ok(socket) => link::read(socket, timing.catch_up_idle, origin, sender).await,
                // Nobody listens when the stretch is over.
                Err(failure) => {
                    let _ = sender.send((origin, Item::Ended(Ended::Refused(failure)))).await;
                }
            }
        });
        self.resumed.insert(session.to_owned(), task);
        true
    }

    /// Ends the connection that resumed a session, if there is one.
    pub(super) fn end(&mut self, session: &str) {
        if let Some(task) = self.resumed.remove(session) {
            task.abort();
        }
    }

    /// What comes next from any of them.
    pub(super) async fn next(&mut self) -> (Origin, Item) {
        while self.tasks.try_join_next().is_some() {}
        self.items.recv().await.expect("the channel should be open: its sender is here")
    }

    /// Whether nothing waits to be printed.
    pub(super) fn is_idle(&self) -> bool {
        self.items.is_empty()
    }
}
