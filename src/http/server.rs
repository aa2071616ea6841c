//! The listening socket and its end. Signals are the composition root's: none is handled here.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::rt::time::timeout;
use actix_web::{App as WebApp, HttpServer, web};

use super::app::App;
use super::{guard, middleware, once, router, ws};

/// How the server listens.
#[derive(Clone, Debug)]
pub(crate) struct ServerSettings {
    /// Where; port 0 takes any free one.
    pub(crate) listen: SocketAddr,
    /// Threads that answer requests.
    pub(crate) workers: usize,
    /// A request's head has to arrive within this time.
    pub(crate) request_timeout: Duration,
    /// An idle connection is closed after this time.
    pub(crate) keep_alive: Duration,
}

impl ServerSettings {
    /// The usual times on an address.
    pub(crate) fn on(listen: SocketAddr, workers: usize) -> Self {
        let (request_timeout, keep_alive) = (Duration::from_secs(5), Duration::from_secs(75));
        Self { listen, workers, request_timeout, keep_alive }
    }
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Somebody else does.
    #[error("cannot listen on {0}: another program uses this port")]
    Taken(SocketAddr),
    /// The system refuses.
    #[error("cannot listen on {0}: {1}")]
    Refused(SocketAddr, io::Error),
}

/// A server that listens.
pub(crate) struct Server {
    address: SocketAddr,
    running: actix_web::dev::Server,
    app: web::Data<App>,
}

/// Ends a server from elsewhere.
#[derive(Clone)]
pub(crate) struct Stopper {
    handle: ServerHandle,
    app: web::Data<App>,
}

impl Server {
    /// Listens; connections are answered while [`Server::run`] is awaited. Called inside an actix `System`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) fn bind(settings: &ServerSettings, app: web::Data<App>) -> Result<Self, BindError> {
        let listen = settings.listen;
        let state = app.clone();
        let server = HttpServer::new(move || {
            WebApp::new()
                .app_data(state.clone())
                .configure(router::configure)
                .wrap(from_fn(once::once))
                .wrap(from_fn(guard::guard))
                .wrap(from_fn(middleware::dress))
                .wrap(state.metrics.requests.clone())
                .wrap(from_fn(middleware::name_method))
        })
        .workers(settings.workers)
        .client_request_timeout(settings.request_timeout)
        .keep_alive(settings.keep_alive)
        // Subscriptions are ended before; what is left are requests of milliseconds.
        .shutdown_timeout(2)
        .disable_signals()
        .on_connect(ws::remember_socket)
        .bind(listen)
        .map_err(|error| refusal(listen, error))?;
        let address = server.addrs().first().copied().unwrap_or(listen);
        Ok(Self { address, running: server.run(), app })
    }

    /// Where it really listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    pub(crate) fn stopper(&self) -> Stopper {
        Stopper { handle: self.running.handle(), app: self.app.clone() }
    }

    /// Answers until it is stopped.
    ///
    /// # Errors
    /// When accepting connections failed.
    pub(crate) async fn run(self) -> io::Result<()> {
        self.running.await
    }
}

impl Stopper {
    /// Closes subscriptions with 1001, lets requests finish, and ends; after `within` by force.
    pub(crate) async fn stop(&self, within: Duration) {
        self.app.begin_stopping();
        let gracefully = async {
            self.app.seats.all_left().await;
            self.handle.stop(true).await;
        };
        if timeout(within, gracefully).await.is_err() {
            self.handle.stop(false).await;
        }
    }
}

fn refusal(listen: SocketAddr, error: io::Error) -> BindError {
    if error.kind() == io::ErrorKind::AddrInUse {
        return BindError::Taken(listen);
    }
    BindError::Refused(listen, error)
}
