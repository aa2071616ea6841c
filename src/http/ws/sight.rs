//! Which streams a subscriber may see: asked at once for those that there are, and for a stream that is made later
//! when it first says something, so that nobody misses it and nobody sees what is kept from them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::http::app::App;
use crate::http::auth::Caller;

/// The view of one subscriber.
pub(super) struct Sight {
    caller: Caller,
    judged: HashMap<Arc<str>, bool>,
}

impl Sight {
    /// The view on the streams that there are.
    pub(super) fn new(app: &App, caller: Caller) -> Self {
        let streams = app.ports.streams.streams().into_iter();
        let judged = streams.map(|stream| (stream.name.as_str().into(), caller.sees(&stream.name))).collect();
        Self { caller, judged }
    }

    /// Whether the subscriber may see this stream. What cannot be known now is not seen, and asked again.
    pub(super) async fn sees(&mut self, app: &App, stream: &Arc<str>) -> bool {
        if let Some(sees) = self.judged.get(stream) {
            return *sees;
        }
        // What was known a second ago may be older than the stream.
        let Ok(Some(known)) = app.known_now(&self.caller.who).await else { return false };
        let sees = self.caller.as_known(known).sees(stream);
        self.judged.insert(Arc::clone(stream), sees);
        sees
    }
}
