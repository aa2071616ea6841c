//! The exports that are under way: a few of each user or key, and none for a client that takes nothing any more.
//!
//! A body is not polled while its client does not read, so an export cannot end itself then: who watches it is outside, as
//! for WebSockets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::rt::time::timeout;
use tokio::sync::watch;

use crate::http::auth::Caller;
use crate::http::ports::Who;
use crate::http::problem::ApiError;
use crate::http::ws::SpareSocket;

/// Exports of one user or key at once.
const MOST: usize = 2;
/// A client that takes no piece for so long loses its connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many exports there are of each user and key.
#[derive(Default)]
pub(in crate::http) struct Exports(Mutex<HashMap<Who, usize>>);

/// An export's place, free again when it is dropped.
pub(super) struct Place {
    exports: Arc<Exports>,
    who: Who,
    /// Pieces that the client took.
    taken: watch::Sender<u64>,
}

impl Exports {
    /// A place for an export that `request` asks for. Its connection is ended when the client takes nothing any more.
    ///
    /// # Errors
    /// 429 `too_many_exports`.
    pub(super) fn begin(self: &Arc<Self>, caller: &Caller, request: &HttpRequest) -> Result<Place, ApiError> {
        let who = whose(caller);
        {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = all.entry(who.clone()).or_default();
            if *count >= MOST {
                return Err(too_many());
            }
            *count += 1;
        }
        let (taken, watched) = watch::channel(0);
        // Without a second handle (the process has no free descriptor) it is served all the same.
        if let Some(socket) = request.conn_data::<SpareSocket>().cloned() {
            actix_web::rt::spawn(end_when_stalled(watched, socket, PATIENCE));
        }
        Ok(Place { exports: Arc::clone(self), who, taken })
    }
}

impl Place {
    /// The client wants the next piece, so it took those before.
    pub(super) fn took(&self) {
        self.taken.send_modify(|count| *count += 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.exports.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.get(&self.who).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            all.remove(&self.who);
        } else {
            all.insert(self.who.clone(), left);
        }
    }
}

/// All logins of a user are one, and so are all ways to show a key.
fn whose(caller: &Caller) -> Who {
    match &caller.who {
        Who::User { user, .. } => Who::User { user: *user, family: None },
        Who::Key { id, .. } => Who::Key { id: id.clone(), hash: None },
    }
}

/// Waits as long as pieces are taken. Ends with the export, or ends its connection.
async fn end_when_stalled(mut taken: watch::Receiver<u64>, socket: SpareSocket, patience: Duration) {
    while let Ok(more) = timeout(patience, taken.changed()).await {
        if more.is_err() {
            return;
        }
    }
    socket.shut_down();
}

const fn too_many() -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_exports",
        "Let an export end before you begin another.",
    )
    .with_header("retry-after", "30")
}

#[cfg(test)]
mod tests {
    use actix_web::dev::Extensions;
    use actix_web::rt::net::{TcpListener, TcpStream};
    use actix_web::rt::time::sleep;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::http::ws::remember_socket;

    #[actix_web::test]
    async fn who_takes_a_little_keeps_the_connection_and_who_takes_nothing_loses_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (served, _) = listener.accept().await.unwrap();
        let mut kept = Extensions::new();
        remember_socket(&served, &mut kept);
        let socket = kept.get::<SpareSocket>().unwrap().clone();
        let (taken, watched) = watch::channel(0);
        let watching = actix_web::rt::spawn(end_when_stalled(watched, socket, Duration::from_millis(300)));
        for _ in 0..20 {
            sleep(Duration::from_millis(20)).await;
            taken.send_modify(|count| *count += 1);
        }
        assert!(!watching.is_finished());
        watching.await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "it is shut down");
    }
}
