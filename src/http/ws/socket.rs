//! A second handle of each connection's socket, with which a keeper can end what an actor or an export no longer can.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as AsyncTcpStream;

/// The second handle.
#[derive(Clone)]
pub(in crate::http) struct SpareSocket(Arc<TcpStream>);

impl SpareSocket {
    /// Ends the connection in both directions; whoever waits on it wakes up.
    pub(in crate::http) fn shut_down(&self) {
        // It fails when the socket is closed already, which is what was wanted.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Called by the server for each connection: keeps a second handle, and sends small frames at once.
///
/// Without a second handle (the process has no free descriptor) the connection is served all the same; a
/// client that stops reading then costs its socket until TCP gives up.
pub(in crate::http) fn remember_socket(io: &dyn Any, kept: &mut Extensions) {
    let Some(socket) = io.downcast_ref::<AsyncTcpStream>() else {
        return;
    };
    // Only latency is lost where it fails.
    let _ = socket.set_nodelay(true);
    if let Ok(descriptor) = socket.as_fd().try_clone_to_owned() {
        kept.insert(SpareSocket(Arc::new(TcpStream::from(descriptor))));
    }
}
