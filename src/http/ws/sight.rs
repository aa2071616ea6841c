//! Which streams a subscriber may see: asked at once for those that there are, and for a stream that is made later
//! when it first says something, so that nobody misses it and nobody sees what is kept from them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt::time::timeout;

use crate::http::app::App;
use crate::http::auth::Caller;

/// How long the feed waits for the database, and how long it then does not ask again: a database that is away delays
/// no other stream.
const PATIENCE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(1);

/// The view of one subscriber.
pub(super) struct Sight {
    caller: Caller,
    judged: HashMap<Arc<str>, bool>,
    asked_in_vain: Option<Instant>,
}

impl Sight {
    /// The view on the streams that there are.
    pub(super) fn new(app: &App, caller: Caller) -> Self {
        let streams = app.ports.streams.streams().into_iter();
        let judged = streams.map(|stream| (stream.name.as_str().into(), caller.sees(&stream.name))).collect();
        Self { caller, judged, asked_in_vain: None }
    }

    /// Whether the subscriber may see this stream; nothing if that cannot be known now.
    pub(super) async fn sees(&mut self, app: &App, stream: &Arc<str>) -> Option<bool> {
        if let Some(sees) = self.judged.get(stream) {
            return Some(*sees);
        }
        if self.asked_in_vain.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        // What was known a second ago may be older than the stream.
        let Ok(Ok(Some(known))) = timeout(PATIENCE, app.known_now(&self.caller.who)).await else {
            self.asked_in_vain = Some(Instant::now());
            return None;
        };
        let sees = self.caller.as_known(known).sees(stream);
        self.judged.insert(Arc::clone(stream), sees);
        Some(sees)
    }
}
