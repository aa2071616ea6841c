//! The server: builds everything `kinora serve` is made of, runs it, and ends it in order.
//!
//! Order of the start: weights, data directory, database and its schema, journal and what an earlier process left
//! in it, streams, HTTP. Order of the end: streams, their leases, rows, connections, journal, database.

mod admin;
mod admission;
mod control;
mod device_use;
mod gauges;
mod housekeeping;
mod journal_watch;
mod keeper;
mod membership;
mod recovery;
mod relay;
mod scale;
mod secrets;
mod streams;
mod web;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use kinora_actors::batch::BatchPolicy;
use kinora_actors::db_writer::{DbWriterCounters, DbWriterParts, DbWriterPolicy, Drain, StoreNews};
use kinora_actors::db_writer_keeper::DbWriterKeeper;
use kinora_actors::domain::Provenance;
use kinora_actors::hub::Hub;
use kinora_actors::lanes::{HANG_AFTER, Lanes};
use kinora_actors::ports::{Clock, ModelFactory};
use kinora_actors::registry::{StopAll, StreamRegistry};
use kinora_actors::status::StatusBoard;
use slog::{Logger, info, o, warn};
use tokio::sync::mpsc;

use crate::adapters::{Elsewhere, EventRows, Machine, SystemClock, stream_log};
use crate::config::Settings;
use crate::http::{Metrics, Passwords, Server, ServerSettings, Stopper};
use crate::journal::{Journal, JournalLog};
use crate::store::{EmbeddedSettings, IfRunning, KnownHere, Store, StoreSettings, StoreTarget};
use admission::{Admission, AdmissionParts};
use control::Control;
use gauges::{Gauged, Gauges};
use keeper::{Keeper, KeeperParts};
use membership::Membership;
use relay::Relay;
use scale::{ScaleGauges, Watched};
use web::Web;

/// Threads that answer HTTP; requests are few, events are pushed by them.
const HTTP_WORKERS: usize = 2;
/// Requests of a batch on a GPU; the networks there have memory for so many.
const GPU_BATCH: usize = 8;
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
    keeper: Arc<Keeper>,
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
        None => StoreTarget::Embedded(EmbeddedSettings {
            bin_dir: settings.storage.database_programs.clone(),
            search_path: settings.storage.search_path.clone(),
            if_running: if join { IfRunning::Join } else { IfRunning::Refuse },
            ..EmbeddedSettings::new(settings.server.data_directory.join("pg"))
        }),
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
    let key = open_data(&data)?;
    let membership = Membership::new(&settings.cluster);
    let (store, passwords) = open_store(&settings, &*clock, &log).await?;
    let (hub, is_alone) = (Hub::new(), membership.is_none());
    let place = (data.as_path(), settings.storage.journal_max_bytes);
    let (journal, recovered) = recovery::open_journal(place, &hub, (&store, is_alone), &*clock, &log).await?;
    let elsewhere = membership.as_ref().map(|_| Arc::default());
    let relay = match (&membership, &elsewhere) {
        (Some(member), Some(elsewhere)) => {
            Some(start_relay(member, recovered, &store, (&hub, elsewhere), &log).await?)
        }
        _ => None,
    };

    let counters = Arc::new(DbWriterCounters::default());
    let (fatal_teller, fatal) = mpsc::channel(1);
    let lanes = start_lanes(&settings, &provenance.device, model, &clock, fatal_teller);
    let board = Arc::new(StatusBoard::observed_by(stream_log(log.new(o!("part" => "streams")))));
    let shown = prometheus::Registry::new();
    let scale = ScaleGauges::new(&shown).map_err(away)?;
    let sealer = Arc::new(secrets::sealer(&data).map_err(away)?);
    let admission = AdmissionParts {
        lanes: Arc::clone(&lanes),
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
        refused: scale.refused(),
        log: log.new(o!("part" => "admission")),
    };
    let admission = Admission::new(admission, &settings.scale);
    let utilization = Arc::default();
    let control = Arc::new(Control::new(&settings.http, (Arc::clone(&admission), is_alone)));
    let web = Web {
        store: &store,
        board: &board,
        hub: &hub,
        journal: &journal,
        clock: &clock,
        elsewhere,
        key: &key,
        passwords,
        metrics: metrics(shown, &board, &journal, &store, &counters, &lanes)?,
        control: control.clone(),
        machine: Arc::new(Machine {
            provenance: provenance.clone(),
            precision: settings.inference.precision,
            lanes: Arc::clone(&lanes),
            utilization: Arc::clone(&utilization),
        }),
        sealer: Arc::clone(&sealer),
        settings: &settings,
        log: &log,
    };
    let app = web.build()?;
    let http = Server::bind(&ServerSettings::on(settings.server.listen, HTTP_WORKERS), app.clone());
    let http = http.map_err(away)?;
    let watched = Watched {
        board: Arc::clone(&board),
        lanes: Arc::clone(&lanes),
        clock: Arc::clone(&clock),
        admission: Arc::clone(&admission),
        utilization,
        device: provenance.device.clone(),
    };
    let shared = streams::Shared {
        settings: Arc::clone(&settings),
        provenance,
        journal: Arc::clone(&journal),
        hub: Arc::clone(&hub),
        lanes: Arc::clone(&lanes),
        clock: Arc::clone(&clock),
        fences: Arc::default(),
        admission,
        membership,
    };
    store_configured_streams(&shared, &store).await?;

    // From here on nothing fails: no actor is left behind by a start that was given up.
    let owner = shared.membership.as_ref().map(|member| Arc::clone(&member.owner));
    let writer = start_writer(&journal, &store, owner, &counters, &log);
    if let Some(relay) = relay {
        relay.start();
    }
    let registry = StreamRegistry::new(Arc::clone(&board), Some(lanes), Arc::clone(&clock)).start();
    let keeper = Keeper::new(KeeperParts {
        registry: registry.clone(),
        shared,
        store: store.clone(),
        sealer,
        log: log.new(o!("part" => "keeper")),
    });
    keeper.start().await;
    control.begin(Arc::clone(&keeper));
    scale::start(watched, scale, &settings.scale, log.new(o!("part" => "scale")));
    info!(log, "listening"; "address" => %http.address(), "streams" => board.streams().len());
    app.set_ready(true);
    let stopper = http.stopper();
    actix::spawn(http.run());
    journal_watch::start(Arc::clone(&journal), log.new(o!("part" => "journal")));
    let housekeeping_log = log.new(o!("part" => "housekeeping"));
    housekeeping::start(store.clone(), &settings.storage, !is_alone, clock, housekeeping_log);
    Ok(Running { log, registry, keeper, writer, http: stopper, journal, store, fatal })
}

/// Makes the data directory if need be; gives the key that tokens are signed with.
fn open_data(data: &Path) -> Result<Vec<u8>, StartError> {
    let unusable = |error| away(format!("the data directory {} cannot be used: {error}", data.display()));
    secrets::make_directory(data).map_err(unusable)?;
    secrets::token_key(data).map_err(unusable)
}

/// Connects, brings the schema up to date, and sees to it that there is an administrator.
async fn open_store(
    settings: &Settings,
    clock: &dyn Clock,
    log: &Logger,
) -> Result<(Store, Passwords), StartError> {
    let store = Store::connect(store_settings(settings, false)).await.map_err(away)?;
    store.migrate_up(None).await.map_err(away)?;
    store.ensure_partitions(clock.unix_us(), 1).await.map_err(away)?;
    let passwords = Passwords::new().map_err(away)?;
    let data = &settings.server.data_directory;
    admin::settle_development(&store, settings.auth.development_login, log).await.map_err(away)?;
    admin::ensure_first(&store, &passwords, data, log).await.map_err(away)?;
    if !settings.cluster.several && store.count_leases().await.map_err(away)? > 0 {
        return Err(away(
            "other servers run streams of this database: set cluster.servers to several, or end them first",
        ));
    }
    Ok((store, passwords))
}

/// What brings events of other servers. From here on nothing that they store is missed.
async fn start_relay(
    member: &Membership,
    recovered: Vec<String>,
    store: &Store,
    told: (&Arc<Hub>, &Arc<Elsewhere>),
    log: &Logger,
) -> Result<Relay, StartError> {
    info!(log, "one of several servers"; "owner" => &*member.owner);
    let here = KnownHere { owner: member.owner.to_string(), recovered };
    Relay::new(store, told, here, log.new(o!("part" => "relay"))).await.map_err(away)
}

fn metrics(
    metrics: prometheus::Registry,
    board: &Arc<StatusBoard>,
    journal: &Arc<Journal>,
    store: &Store,
    counters: &Arc<DbWriterCounters>,
    lanes: &Arc<Lanes>,
) -> Result<Metrics, StartError> {
    let gauges = Gauges::new(Gauged {
        board: Arc::clone(board),
        journal: Arc::clone(journal),
        store: store.clone(),
        counters: Arc::clone(counters),
        lanes: Arc::clone(lanes),
    });
    metrics.register(Box::new(gauges.map_err(away)?)).map_err(away)?;
    Metrics::new(metrics).map_err(away)
}

impl Running {
    /// Runs until `stop` or a fatal fault, then ends everything in order.
    pub(crate) async fn until(mut self, stop: impl Future<Output = ()>) -> Ended {
        let ended = tokio::select! {
            () = stop => Ended::Stopped,
            _ = self.fatal.recv() => Ended::Fatal,
        };
        info!(self.log, "stopping"; "why" => ?ended);
        self.keeper.close().await;
        // A registry that is gone has no streams.
        let left = self.registry.send(StopAll { within: STOP_STREAMS }).await.unwrap_or_default();
        if !left.is_empty() {
            warn!(self.log, "streams did not end in time"; "streams" => ?left);
        }
        self.keeper.give_back(&left).await;
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

fn start_writer(
    journal: &Arc<Journal>,
    store: &Store,
    tell_as: Option<Arc<str>>,
    counters: &Arc<DbWriterCounters>,
    log: &Logger,
) -> Addr<DbWriterKeeper> {
    let journal = Arc::clone(journal);
    let log = log.new(o!("part" => "db_writer"));
    DbWriterKeeper::new(DbWriterParts {
        log: Arc::new(move || Ok(Box::new(JournalLog::from_commit(Arc::clone(&journal))?))),
        store: Arc::new(EventRows { store: store.clone(), tell_as }),
        policy: DbWriterPolicy::default(),
        counters: Arc::clone(counters),
        observer: Arc::new(move |news| tell_failure(&log, &news)),
    })
    .start()
}

/// What the writer of rows could not do, as a log line: one for a batch, however many of its rows were refused.
fn tell_failure(log: &Logger, news: &StoreNews<'_>) {
    match news {
        StoreNews::Failed(why) => warn!(log, "events could not be stored"; "error" => why),
        StoreNews::Refused([]) => {}
        StoreNews::Refused(refused @ [first, ..]) => warn!(
            log, "rows were refused by the database"; "rows" => refused.len(),
            "session" => &*first.session.0, "seq" => first.seq, "error" => &*first.error
        ),
    }
}

/// A lane for each worker of the CPU, or one for a GPU, whose worker gathers the requests of its streams.
fn start_lanes(
    settings: &Settings,
    device: &str,
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
    if device == "cpu" {
        return Lanes::new(count, model, Arc::clone(clock), HANG_AFTER, tell);
    }
    let policy = BatchPolicy { most: GPU_BATCH, deadline: settings.inference.batch_deadline };
    Lanes::gathering(1, model, policy, Arc::clone(clock), HANG_AFTER, tell)
}

/// Brings the configured streams into the table, which is where they are started from.
async fn store_configured_streams(shared: &streams::Shared, store: &Store) -> Result<(), StartError> {
    let mut rows = Vec::new();
    for stream in &shared.settings.streams {
        let parts = streams::parts(stream, shared)
            .map_err(|error| StartError::Configuration(format!("stream {}: {error}", stream.name)))?;
        rows.push(crate::store::ConfigStream {
            name: stream.name.clone(),
            // Without credentials: what is stored can be shown.
            address: parts.address.to_string(),
            settings: "{}".to_owned(),
            enabled: stream.enabled,
            roles: stream.roles.clone(),
        });
    }
    store.sync_config_streams(&rows).await.map_err(|error| match error {
        crate::store::StoreError::NotFound { what } => {
            StartError::Configuration(format!("[[streams]]: {what} does not exist"))
        }
        error => away(error),
    })?;
    // Among several servers the start of one of them must not undo what was ordered.
    if shared.membership.is_none() {
        store.forget_wishes_of_config_streams().await.map_err(away)?;
    }
    Ok(())
}
