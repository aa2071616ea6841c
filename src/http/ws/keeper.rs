//! The keeper of one connection: runs its feed and its deadlines outside the actor, and sees that the socket ends.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::{Instant, interval_at, sleep, timeout};
use tokio::sync::{oneshot, watch};

use super::end::End;
use super::feed::Feed;
use super::seats::Seat;
use super::session::{Peer, Pulse};
use super::socket::SpareSocket;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::ports::HttpEvent;

/// Pings without an answer after which the next ping time ends the connection.
const MISSED_PONGS: u32 = 2;

/// One connection and what its deadlines depend on.
pub(super) struct Keeper {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
    pub(super) peer: Peer,
    pub(super) pulse: Arc<Pulse>,
    pub(super) socket: Option<SpareSocket>,
    pub(super) _seat: Seat,
}

impl Keeper {
    /// From the upgrade to the end of the socket.
    pub(super) async fn run(mut self, mut feed: Feed) {
        let mut gone = self.peer.take_gone();
        let end = tokio::select! {
            _ = &mut gone => End::PeerGone,
            end = self.watch() => end,
            end = feed.run(&self.peer) => end,
        };
        let cut = self.finish(end, gone).await;
        self.app.metrics.subscribers_left.with_label_values(&[end.reason()]).inc();
        let (user, events) = (self.caller.user(), feed.events_sent());
        let left = HttpEvent::SubscriberLeft { user, reason: end.reason(), events, cut };
        self.app.ports.observer.notice(left);
    }

    /// Ends when a deadline of the connection is over.
    async fn watch(&self) -> End {
        let mut stopping = self.app.stopping();
        tokio::select! {
            end = self.keep_pinging() => end,
            end = self.keep_checking() => end,
            () = sleep(self.time_left()) => End::TokenExpired,
            () = stopped(&mut stopping) => End::ShuttingDown,
        }
    }

    async fn keep_pinging(&self) -> End {
        let period = self.app.ws.ping_every;
        let mut ticks = interval_at(Instant::now() + period, period);
        loop {
            ticks.tick().await;
            if self.pulse.unanswered() >= MISSED_PONGS {
                return End::PongMissed;
            }
            self.peer.ping();
        }
    }

    /// Ends when the account, the key or the login is gone, or what they may see has changed.
    async fn keep_checking(&self) -> End {
        let period = self.app.ws.check_every;
        let mut ticks = interval_at(Instant::now() + period, period);
        loop {
            ticks.tick().await;
            // A database that is away takes no right from anyone.
            let known = self.app.known(&self.caller.who).await;
            if known.is_ok_and(|known| !self.caller.is_still_good(known)) {
                return End::Revoked;
            }
        }
    }

    /// Until the token expires. Whole seconds, as in the token: rounded up, so never before it expires. A key
    /// does not expire, and nothing lasts a hundred years.
    fn time_left(&self) -> Duration {
        let Some(expires_at) = self.caller.expires_at else { return Duration::from_secs(3_155_760_000) };
        let now_us = u64::try_from(self.app.clock.unix_us()).unwrap_or(0);
        let until_us = expires_at.saturating_mul(1_000_000);
        Duration::from_micros(until_us.saturating_sub(now_us))
    }

    /// Sends a close frame, waits a little for the client's, and then ends the socket. Whether it had to.
    async fn finish(&self, end: End, gone: oneshot::Receiver<()>) -> bool {
        if end == End::PeerGone {
            return false;
        }
        self.peer.close(end);
        let left = timeout(self.app.ws.close_grace, gone).await.is_ok();
        if let (false, Some(socket)) = (left, &self.socket) {
            socket.shut_down();
        }
        !left
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the application is gone, which is a stop as well.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
