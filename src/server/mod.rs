//! The server: builds everything `kinora serve` is made of, runs it, and ends it in order.
//!
//! Order of the start: weights, data directory, database and its schema, journal and what an earlier process left
//! in it, streams, HTTP. Order of the end: streams, rows, connections, journal, database.

mod admin;
mod gauges;
mod housekeeping;
mod secrets;
mod streams;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_web::web;
use kinora_actors::db_writer::{DbWriterCounters, DbWriterParts, DbWriterPolicy, Drain};
use kinora_actors::db_writer_keeper::DbWriterKeeper;
use kinora_actors::domain::{EndReason, Provenance};
use kinora_actors::hub::{Hub, QueueBound};
use kinora_actors::lanes::{HANG_AFTER, Lanes};
use kinora_actors::ports::{Clock, EventSink, ModelFactory};
use kinora_actors::registry::{AddStream, StopAll, StreamRegistry};
use kinora_actors::restart::closing_events;
use kinora_actors::status::StatusBoard;
use slog::{Logger, info, o, warn};
use tokio::sync::mpsc;

use crate::accounts::{MailError, Mailer};
use crate::adapters::{
    DatabaseHealth, EventRows, HttpLog, LiveView, StoredAccounts, StoredHistory, SystemClock,
};
use crate::config::Settings;
use crate::http::ports::Ports;
use crate::http::{
    AccountRules, App, Metrics, Parts, Passwords, Server, ServerSettings, Signup, Stopper, TokenKeys,
    TokenSettings, WsSettings,
};
use crate::journal::{Journal, JournalLimits, JournalLog, JournalSink, Recovered};
use crate::store::{EmbeddedSettings, SessionEnd, Store, StoreSettings, StoreTarget};
use gauges::{Gauged, Gauges};

/// The journal is kept in so many segments; whole ones are removed once they are stored.
const SEGMENTS: u64 = 32;
/// Events are on disk at the latest after this time.
const SYNC_EVERY: Duration = Duration::from_millis(200);
/// How long a query of a request may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Threads that answer HTTP; requests are few, events are pushed by them.
const HTTP_WORKERS: usize = 2;
/// Bytes that may wait for a slow agent, for each event that may: two events of a person.
const QUEUE_BYTES_PER_EVENT: usize = 4_096;
/// The end in parts, ten seconds in all: streams, rows, connections.
const STOP_STREAMS: Duration = Duration::from_secs(4);
const STOP_ROWS: Duration = Duration::from_secs(2);
const STOP_HTTP: Duration = Duration::from_secs(2);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The configuration asks for what cannot be.
    #[error("{0}")]
    Configuration(String),
    /// A component is away: database, data directory, port.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody asked for it.
    Stopped,
    /// Too many threads hang; a fresh process is needed.
    Fatal,
}

/// A server that runs.
pub(crate) struct Running {
    log: Logger,
    registry: Addr<StreamRegistry>,
    writer: Addr<DbWriterKeeper>,
    http: Stopper,
    journal: Arc<Journal>,
    store: Store,
    fatal: mpsc::Receiver<()>,
}

fn away(what: impl std::fmt::Display) -> StartError {
    StartError::Unavailable(what.to_string())
}

/// How the store is opened by `settings`; with `join`, a private cluster that another process runs is used.
pub(crate) fn store_settings(settings: &Settings, join: bool) -> StoreSettings {
    let target = match &settings.storage.database_url {
        Some(url) => StoreTarget::Url(url.clone()),
        None => {
            let mut embedded = EmbeddedSettings::new(settings.server.data_directory.join("pg"));
            if join {
                embedded.if_running = crate::store::IfRunning::Join;
            }
            StoreTarget::Embedded(embedded)
        }
    };
    let mut store = StoreSettings::new(target);
    store.pool_size = settings.storage.pool_size;
    store.max_overflow = settings.storage.pool_overflow;
    store
}

/// Starts everything. Runs on an actix System; returns when the server answers.
///
/// # Errors
/// A [`StartError`] whose message names what is missing.
pub(crate) async fn start(
    settings: Settings,
    provenance: Provenance,
    model: ModelFactory,
    log: Logger,
) -> Result<Running, StartError> {
    let settings = Arc::new(settings);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let data = settings.server.data_directory.clone();
    let unusable = |error| away(format!("the data directory {} cannot be used: {error}", data.display()));
    secrets::make_directory(&data).map_err(unusable)?;
    let key = secrets::token_key(&data).map_err(unusable)?;

    let store = Store::connect(store_settings(&settings, false)).await.map_err(away)?;
    store.migrate_up(None).await.map_err(away)?;
    store.ensure_partitions(clock.unix_us(), 1).await.map_err(away)?;
    let passwords = Passwords::new().map_err(away)?;
    admin::ensure_first(&store, &passwords, &data, &log).await.map_err(away)?;

    let hub = Hub::new();
    let (journal, recovered) = open_journal(&data, settings.storage.journal_max_bytes).map_err(away)?;
    close_interrupted(&journal, &hub, &recovered, &*clock, &log);
    let end = SessionEnd { at_us: clock.unix_us(), reason: EndReason::Restart.code().to_owned() };
    store.close_open_sessions(&end).await.map_err(away)?;
    let counters = Arc::new(DbWriterCounters::default());
    let (fatal_teller, fatal) = mpsc::channel(1);
    let lanes = start_lanes(&settings, model, &clock, fatal_teller);
    let board = Arc::new(StatusBoard::default());
    let metrics = prometheus::Registry::new();
    let gauges = Gauges::new(Gauged {
        board: Arc::clone(&board),
        journal: Arc::clone(&journal),
        store: store.clone(),
        counters: Arc::clone(&counters),
        lanes: Arc::clone(&lanes),
    });
    metrics.register(Box::new(gauges.map_err(away)?)).map_err(away)?;
    let metrics = Metrics::new(metrics).map_err(away)?;
    let app = build_app(&settings, &store, &board, Arc::clone(&hub), &clock, &key, passwords, metrics, &log)?;
    let http_settings = ServerSettings::on(settings.server.listen, HTTP_WORKERS);
    let http = Server::bind(&http_settings, app.clone()).map_err(away)?;
    let shared = streams::Shared {
        settings: Arc::clone(&settings),
        provenance,
        journal: Arc::clone(&journal),
        hub,
        lanes: Arc::clone(&lanes),
        clock: Arc::clone(&clock),
    };
    let streams = configured_streams(&shared, &store).await?;

    // From here on nothing fails: no actor is left behind by a start that was given up.
    let writer = start_writer(&journal, &store, &counters, &log);
    let registry = StreamRegistry::new(board, Some(lanes), Arc::clone(&clock)).start();
    for stream in streams {
        // A registry that was just started is there.
        let _ = registry.send(stream).await;
    }
    info!(log, "listening"; "address" => %http.address(), "streams" => settings.streams.len());
    app.set_ready(true);
    let stopper = http.stopper();
    actix::spawn(http.run());
    housekeeping::start(store.clone(), &settings.storage, clock, log.new(o!("part" => "housekeeping")));
    Ok(Running { log, registry, writer, http: stopper, journal, store, fatal })
}

impl Running {
    /// Runs until `stop` or a fatal fault, then ends everything in order.
    pub(crate) async fn until(mut self, stop: impl Future<Output = ()>) -> Ended {
        let ended = tokio::select! {
            () = stop => Ended::Stopped,
            _ = self.fatal.recv() => Ended::Fatal,
        };
        info!(self.log, "stopping"; "why" => ?ended);
        match self.registry.send(StopAll { within: STOP_STREAMS }).await {
            Ok(left) if left.is_empty() => {}
            left => warn!(self.log, "streams did not end in time"; "streams" => ?left.ok()),
        }
        if tokio::time::timeout(STOP_ROWS, self.writer.send(Drain)).await.is_err() {
            warn!(self.log, "events are left in the journal for the next start");
        }
        self.http.stop(STOP_HTTP).await;
        self.close_journal();
        self.store.close().await;
        info!(self.log, "stopped");
        ended
    }

    /// Syncs and marks the end: the next start knows that nothing is missing.
    fn close_journal(&self) {
        if let Err(error) = self.journal.close() {
            warn!(self.log, "the last events may not be on disk"; "error" => %error);
        }
    }
}

fn open_journal(data: &Path, max_bytes: u64) -> Result<(Arc<Journal>, Recovered), crate::journal::OpenError> {
    let limits = JournalLimits { max_bytes, segment_bytes: max_bytes / SEGMENTS, sync_every: SYNC_EVERY };
    let (journal, recovered) = Journal::open(&data.join("journal"), limits)?;
    Ok((Arc::new(journal), recovered))
}

/// Ends the sessions that an earlier process left open, in the journal, before any stream is started.
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

fn start_writer(
    journal: &Arc<Journal>,
    store: &Store,
    counters: &Arc<DbWriterCounters>,
    log: &Logger,
) -> Addr<DbWriterKeeper> {
    let journal = Arc::clone(journal);
    let log = log.new(o!("part" => "db_writer"));
    DbWriterKeeper::new(DbWriterParts {
        log: Arc::new(move || Ok(Box::new(JournalLog::from_commit(Arc::clone(&journal))?))),
        store: Arc::new(EventRows(store.clone())),
        policy: DbWriterPolicy::default(),
        counters: Arc::clone(counters),
        observer: Arc::new(move |error| warn!(log, "events could not be stored"; "error" => %error)),
    })
    .start()
}

fn start_lanes(
    settings: &Settings,
    model: ModelFactory,
    clock: &Arc<dyn Clock>,
    fatal: mpsc::Sender<()>,
) -> Arc<Lanes> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = settings.inference.workers.map_or(cores, |workers| workers.get() as usize);
    let tell = Box::new(move || {
        // One word is enough; a second finds the channel full.
        let _ = fatal.try_send(());
    });
    Lanes::new(count, model, Arc::clone(clock), HANG_AFTER, tell)
}

#[allow(clippy::too_many_arguments)] // The one place where the application meets its parts.
fn build_app(
    settings: &Settings,
    store: &Store,
    board: &Arc<StatusBoard>,
    hub: Arc<Hub>,
    clock: &Arc<dyn Clock>,
    key: &[u8],
    passwords: Passwords,
    metrics: Metrics,
    log: &Logger,
) -> Result<web::Data<App>, StartError> {
    let ports = Ports {
        history: Arc::new(StoredHistory(store.clone())),
        accounts: Arc::new(StoredAccounts(store.clone())),
        streams: Arc::new(LiveView { board: Arc::clone(board), store: store.clone() }),
        checks: vec![Arc::new(DatabaseHealth(store.clone()))],
        observer: Arc::new(HttpLog(log.new(o!("part" => "http")))),
    };
    let limits = &settings.websocket;
    let queue =
        QueueBound { events: limits.queue_events, bytes: limits.queue_events * QUEUE_BYTES_PER_EVENT };
    let ws = WsSettings {
        max_per_user: limits.max_per_user,
        max_total: limits.max_total,
        queue,
        ..WsSettings::default()
    };
    Ok(web::Data::new(App::new(Parts {
        ports,
        hub,
        clock: Arc::clone(clock),
        tokens: TokenKeys::new(key, token_settings(settings)).map_err(away)?,
        passwords,
        metrics,
        ws,
        store: store.clone(),
        accounts: account_rules(settings).map_err(away)?,
        allowed_origins: settings.http.allowed_origins.clone(),
        trusted_proxies: settings.http.trusted_proxies.clone(),
        query_timeout: QUERY_TIMEOUT,
    })))
}

fn account_rules(settings: &Settings) -> Result<AccountRules, MailError> {
    let data = settings.server.data_directory.clone();
    let mailer = match &settings.mail.relay {
        Some(relay) => Mailer::to_relay(&settings.mail.from, relay),
        None => Mailer::to_folder(&settings.mail.from, &data.join("mail")),
    };
    Ok(AccountRules {
        signup: match settings.auth.signup.as_str() {
            "open" => Signup::Open,
            "invite" => Signup::Invite,
            _ => Signup::Off,
        },
        refresh_lifetime: settings.auth.refresh_token_lifetime,
        mailer: Arc::new(mailer?),
        link: settings.mail.link.clone(),
        data,
    })
}

fn token_settings(settings: &Settings) -> TokenSettings {
    TokenSettings { lifetime: settings.auth.access_token_lifetime, ..TokenSettings::default() }
}

/// Brings the configured streams into the table; returns what starts them.
async fn configured_streams(shared: &streams::Shared, store: &Store) -> Result<Vec<AddStream>, StartError> {
    let (mut rows, mut streams) = (Vec::new(), Vec::new());
    for stream in &shared.settings.streams {
        let parts = streams::parts(stream, shared)
            .map_err(|error| StartError::Configuration(format!("stream {}: {error}", stream.name)))?;
        rows.push(crate::store::ConfigStream {
            name: stream.name.clone(),
            // Without credentials: what is stored can be shown.
            address: parts.address.to_string(),
            settings: "{}".to_owned(),
            enabled: stream.enabled,
        });
        streams.push(AddStream { parts, enabled: stream.enabled });
    }
    store.sync_config_streams(&rows).await.map_err(away)?;
    Ok(streams)
}
