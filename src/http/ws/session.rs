//! `WsSession`: the actor of one socket. The only file that knows `actix-web-actors`.
//!
//! It carries frames and control messages to the socket and notes pongs; it decides nothing, since it stands
//! still as soon as its client stops reading. It is dropped when the connection is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix::{Actor, ActorContext, Addr, Handler, MailboxError, Message, StreamHandler};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, CloseCode, CloseReason, WebsocketContext, WsResponseBuilder};
use tokio::sync::oneshot;

use super::SUBPROTOCOL;
use super::end::End;

/// Clients have nothing to say but pongs and closes.
const INCOMING_FRAME_LIMIT: usize = 4 * 1024;

/// Text frames to send, in order. The answer means that the socket's writer took them.
#[derive(Message)]
#[rtype(result = "()")]
struct SendFrames(Vec<String>);

/// Send a ping.
#[derive(Message)]
#[rtype(result = "()")]
struct Ping;

/// Send a close frame.
#[derive(Message)]
#[rtype(result = "()")]
struct Close(End);

/// What the keeper knows of the peer's answers.
#[derive(Default)]
pub(super) struct Pulse {
    unanswered: AtomicU32,
}

impl Pulse {
    /// Pings since the last pong.
    pub(super) fn unanswered(&self) -> u32 {
        self.unanswered.load(Ordering::Relaxed)
    }
}

/// The actor's address, and the end of its life.
pub(super) struct Peer {
    addr: Addr<WsSession>,
    pulse: Arc<Pulse>,
    gone: Option<oneshot::Receiver<()>>,
}

impl Peer {
    /// Gives frames to the socket; returns when its writer took them, which is never while the client does not
    /// read.
    pub(super) async fn send(&self, frames: Vec<String>) -> Result<(), End> {
        self.addr.send(SendFrames(frames)).await.map_err(|_: MailboxError| End::PeerGone)
    }

    /// Asks for a ping. It counts as unanswered even if a full mailbox refuses it: then the client does not read.
    pub(super) fn ping(&self) {
        self.pulse.unanswered.fetch_add(1, Ordering::Relaxed);
        let _ = self.addr.try_send(Ping);
    }

    /// Asks for a close frame; the keeper's grace covers its being refused.
    pub(super) fn close(&self, end: End) {
        let _ = self.addr.try_send(Close(end));
    }

    /// What resolves when the actor is gone. Given once.
    pub(super) fn take_gone(&mut self) -> oneshot::Receiver<()> {
        self.gone.take().expect("the end of an actor should be taken once")
    }
}

/// The actor.
struct WsSession {
    pulse: Arc<Pulse>,
    mailbox: usize,
    /// Dropped with the actor.
    _alive: oneshot::Sender<()>,
}

/// Upgrades the connection.
///
/// # Errors
/// When the request is no WebSocket handshake.
pub(super) fn start(
    request: &HttpRequest,
    payload: web::Payload,
    mailbox: usize,
) -> Result<(Peer, Arc<Pulse>, HttpResponse), actix_web::Error> {
    let pulse = Arc::new(Pulse::default());
    let (alive, gone) = oneshot::channel();
    let session = WsSession { pulse: Arc::clone(&pulse), mailbox, _alive: alive };
    let (addr, response) = WsResponseBuilder::new(session, request, payload)
        .protocols(&[SUBPROTOCOL])
        .frame_size(INCOMING_FRAME_LIMIT)
        .start_with_addr()?;
    let peer = Peer { addr, pulse: Arc::clone(&pulse), gone: Some(gone) };
    Ok((peer, pulse, response))
}

impl Actor for WsSession {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox);
    }
}

impl Handler<SendFrames> for WsSession {
    type Result = ();

    fn handle(&mut self, SendFrames(frames): SendFrames, ctx: &mut Self::Context) {
        frames.into_iter().for_each(|frame| ctx.text(frame));
    }
}

impl Handler<Ping> for WsSession {
    type Result = ();

    fn handle(&mut self, _: Ping, ctx: &mut Self::Context) {
        ctx.ping(b"");
    }
}

impl Handler<Close> for WsSession {
    type Result = ();

    fn handle(&mut self, Close(end): Close, ctx: &mut Self::Context) {
        let code = CloseCode::from(end.code());
        ctx.close(Some(CloseReason { code, description: Some(end.reason().to_owned()) }));
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for WsSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(ws::Message::Ping(data)) => ctx.pong(&data),
            Ok(ws::Message::Pong(_)) => self.pulse.unanswered.store(0, Ordering::Relaxed),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            // Subscribers have nothing to say yet; what they say is left for later versions to define.
            Ok(_) => {}
            Err(_) => {
                ctx.close(Some(CloseCode::Protocol.into()));
                ctx.stop();
            }
        }
    }
}
