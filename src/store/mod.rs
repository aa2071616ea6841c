//! Everything that Kinora keeps in PostgreSQL, and all of its SQL.
//!
//! [`Store`] owns a small runtime on which every connection is opened and driven: a pool drives a connection
//! on the runtime that first asked for it, and no Arbiter's end may kill one. Its methods may be awaited from
//! any runtime; [`Store::wait`] is for callers without one. Callers bring plain types; times are microseconds
//! since 1970 in UTC, JSON is text. With `url = "embedded"` the store also owns a private cluster
//! ([`embedded`]).

mod audit;
mod connection;
mod elsewhere;
mod embedded;
mod error;
mod event_query;
mod events;
mod idempotency;
mod identity;
mod keys;
mod leases;
mod logins;
mod managed_streams;
mod migrations;
mod notices;
mod partitions;
mod retired;
mod roles;
mod sessions;
mod settings;
mod sign_in;
mod streams;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod time;
mod user_changes;
mod users;

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Pool};
use tokio::runtime::{Handle, Runtime};
use tokio_postgres::Config;

pub(crate) use audit::{AuditEntry, AuditRow};
pub(crate) use elsewhere::KnownHere;
pub(crate) use embedded::EmbeddedStatus;
pub(crate) use error::StoreError;
pub(crate) use event_query::EventQuery;
pub(crate) use events::EventRow;
#[cfg(test)]
pub(crate) use events::Inserted;
pub(crate) use idempotency::Begun;
pub(crate) use keys::{KeyRow, NewKey, Ticket};
pub(crate) use leases::Lease;
pub(crate) use logins::{OneTime, Purpose, Refreshed};
pub(crate) use managed_streams::{ManagedStream, StreamSpec, StreamWish};
pub(crate) use migrations::{MigrationRecord, MigrationState};
pub(crate) use notices::{EventNotice, Heard, Notices};
pub(crate) use partitions::Retention;
pub(crate) use roles::RoleRow;
pub(crate) use sessions::{SessionEnd, SessionRow};
pub(crate) use settings::{EmbeddedSettings, IfRunning, StoreSettings, StoreTarget};
pub(crate) use sign_in::{DEVELOPMENT, Newcomer, Onward, SignIn, SignedIn};
pub(crate) use streams::ConfigStream;
#[cfg(test)]
pub(crate) use streams::StreamsSynced;
pub(crate) use user_changes::UserChange;
pub(crate) use users::{NewUser, User};

use embedded::EmbeddedCluster;

/// How long a caller of [`Store::ping`] waits at most.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// What a call may take beyond PostgreSQL's own statement time-out before the server counts as hung.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// The open store; clones share it. The last clone's drop, or [`Store::close`], ends connections and cluster.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>, Option<Duration>);

struct Inner {
    pool: Pool,
    /// One connection to take leases and give them back, in order.
    lease_pool: Pool,
    /// One connection to renew them: no other question makes a renewal wait.
    renewal_pool: Pool,
    /// A few connections for questions about stored events, which may read much: nothing else waits for them.
    history_pool: Pool,
    /// How connections are made, for one that is outside the pool.
    config: Config,
    /// Connections used by a call that may outlast the statement time-out are bounded by this.
    answer_timeout: Duration,
    pool_size: usize,
    cluster: Mutex<Option<EmbeddedCluster>>,
    /// An option only because a runtime is taken apart by value.
    runtime: Option<Runtime>,
}

/// The answer of [`Store::ping`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ping {
    /// From the question for a connection to the answer.
    pub(crate) elapsed: Duration,
    /// PostgreSQL's version, such as `15.18`.
    pub(crate) server_version: String,
}

/// Connections of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolStatus {
    /// Open connections.
    pub(crate) size: usize,
    /// Connections in use.
    pub(crate) in_use: usize,
    /// Calls that wait for a connection.
    pub(crate) waiting: usize,
    /// Connections that there may be at most, overflow included.
    pub(crate) max_size: usize,
}

impl Store {
    /// Opens the store: starts or joins the private cluster if there is one, and tries one connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server does not answer, [`StoreError::ProgramsMissing`] and
    /// [`StoreError::DataDirectory`] of a private cluster, [`StoreError::Settings`].
    pub(crate) async fn connect(settings: StoreSettings) -> Result<Self, StoreError> {
        let runtime = connection::runtime()?;
        let opened = runtime.spawn(open(settings)).await;
        Self::assemble(runtime, opened.unwrap_or_else(|error| Err(crashed(&error))))
    }

    /// [`Store::connect`] for a caller without a runtime.
    ///
    /// # Errors
    /// See there.
    ///
    /// # Panics
    /// On a thread of a runtime.
    pub(crate) fn connect_blocking(settings: StoreSettings) -> Result<Self, StoreError> {
        let runtime = connection::runtime()?;
        let opened = runtime.block_on(open(settings));
        Self::assemble(runtime, opened)
    }

    /// The same store for those who do not wait longer than this. A call that takes longer is ended in PostgreSQL and fails, and
    /// what it began is rolled back: nothing is done behind the back of somebody who was told that it failed.
    pub(crate) fn within(&self, limit: Duration) -> Self {
        Self(Arc::clone(&self.0), Some(limit))
    }

    /// Waits for `work`, usually a call of this store, without a runtime of the caller's.
    ///
    /// # Panics
    /// On a thread of a runtime.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle().block_on(work)
    }

    /// Ends all connections, then the private cluster. Bounded by the cluster's stop time-out; later calls
    /// fail with [`StoreError::Unavailable`].
    pub(crate) async fn close(&self) {
        self.0.pool.close();
        self.0.lease_pool.close();
        self.0.renewal_pool.close();
        self.0.history_pool.close();
        let inner = Arc::clone(&self.0);
        // A stop waits for a process, which would hold up the timers of this runtime.
        let _ = self.handle().spawn_blocking(move || inner.stop_cluster()).await;
    }

    /// Asks PostgreSQL for a sign of life, for at most 5 s.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there was none.
    pub(crate) async fn ping(&self) -> Result<Ping, StoreError> {
        let begun = Instant::now();
        let ask = self.run_within(PING_TIMEOUT, |client| async move {
            let row = client.query_one("select current_setting('server_version')", &[]).await?;
            let version: String = row.try_get(0)?;
            Ok(version.split_whitespace().next().unwrap_or_default().to_owned())
        });
        let server_version = ask.await?;
        Ok(Ping { elapsed: begun.elapsed(), server_version })
    }

    /// Connections of the pool now.
    pub(crate) fn pool_status(&self) -> PoolStatus {
        let status = self.0.pool.status();
        PoolStatus {
            size: status.size,
            in_use: status.size.saturating_sub(status.available),
            waiting: status.waiting,
            max_size: status.max_size,
        }
    }

    /// The private cluster that this store owns, if it owns one.
    pub(crate) fn embedded_status(&self) -> Option<EmbeddedStatus> {
        self.0.lock_cluster().as_ref().map(EmbeddedCluster::status)
    }

    fn assemble(runtime: Runtime, opened: Result<Opened, StoreError>) -> Result<Self, StoreError> {
        match opened {
            Ok(Opened {
                pool,
                lease_pool,
                renewal_pool,
                history_pool,
                config,
                cluster,
                answer_timeout,
                pool_size,
            }) => {
                let inner = Inner {
                    pool,
                    lease_pool,
                    renewal_pool,
                    history_pool,
                    config,
                    answer_timeout,
                    pool_size,
                    cluster: Mutex::new(cluster),
                    runtime: Some(runtime),
                };
                let store = Self(Arc::new(inner), None);
                store.handle().spawn(connection::tend(store.0.pool.clone(), store.0.pool_size));
                Ok(store)
            }
            Err(error) => {
                // The caller may be on a runtime, where waiting for another one's end is a panic.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Runs `work` with a connection on the store's runtime. It runs on to its end if the caller goes away.
    async fn run<T, F, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
        W: FnOnce(Object) -> F + Send + 'static,
    {
        self.run_within(self.0.answer_timeout, work).await
    }

    /// [`Store::run`] with another limit.
    async fn run_within<T, F, W>(&self, limit: Duration, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
        W: FnOnce(Object) -> F + Send + 'static,
    {
        self.run_on(&self.0.pool, limit, work).await
    }

    /// [`Store::run_within`] with another pool.
    async fn run_on<T, F, W>(&self, pool: &Pool, limit: Duration, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
        W: FnOnce(Object) -> F + Send + 'static,
    {
        let (pool, limit) = (pool.clone(), self.1.map_or(limit, |own| own.min(limit)));
        let connected = Arc::new(OnceLock::new());
        let told = Arc::clone(&connected);
        let task = async move {
            let client = pool.get().await?;
            // Nobody else sets it.
            let _ = told.set(client.cancel_token());
            work(client).await
        };
        let bounded = async move {
            let mut task = std::pin::pin!(task);
            if let Ok(done) = tokio::time::timeout(limit, &mut task).await {
                return done;
            }
            // The connection is another one's soon: PostgreSQL has to let go of the statement first. What was done by
            // then is done, and told so.
            let ended = match connected.get() {
                Some(token) => connection::cancel(token, &mut task).await,
                None => None,
            };
            match ended {
                None | Some(Err(StoreError::Unavailable(_))) => {
                    Err(StoreError::Unavailable(format!("no answer within {:.1} s", limit.as_secs_f64())))
                }
                Some(done) => done,
            }
        };
        self.handle().spawn(bounded).await.unwrap_or_else(|error| Err(crashed(&error)))
    }

    fn handle(&self) -> &Handle {
        self.0.runtime.as_ref().expect("the runtime should be there until the store is dropped").handle()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("pool", &self.pool_status()).finish_non_exhaustive()
    }
}

impl Inner {
    fn lock_cluster(&self) -> std::sync::MutexGuard<'_, Option<EmbeddedCluster>> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_cluster(&self) {
        // Taken out first: a status question does not wait for a stop.
        let cluster = self.lock_cluster().take();
        drop(cluster);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pool.close();
        self.lease_pool.close();
        self.renewal_pool.close();
        self.history_pool.close();
        self.stop_cluster();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What [`open`] makes for a store.
struct Opened {
    pool: Pool,
    lease_pool: Pool,
    renewal_pool: Pool,
    history_pool: Pool,
    config: Config,
    cluster: Option<EmbeddedCluster>,
    answer_timeout: Duration,
    pool_size: usize,
}

async fn open(settings: StoreSettings) -> Result<Opened, StoreError> {
    let answer_timeout = settings.connect_timeout + settings.statement_timeout + ANSWER_MARGIN;
    let pool_size = settings.pool_size;
    let (mut config, cluster) = match &settings.target {
        StoreTarget::Url(url) => (connection::parse(url)?, None),
        StoreTarget::Embedded(embedded) => {
            let embedded = embedded.clone();
            let start = tokio::task::spawn_blocking(move || embedded::start_or_join(embedded));
            let (socket, cluster) = start.await.unwrap_or_else(|error| Err(crashed(&error)))?;
            (connection::prepare_embedded(&socket, &settings).await?, cluster)
        }
    };
    let history_pool = event_query::pool(&config, &settings)?;
    connection::tell_first(&mut config, &settings);
    let most = settings.pool_size + settings.max_overflow;
    let pool = connection::pool(config.clone(), &settings, most)?;
    let lease_pool = connection::pool(config.clone(), &settings, 1)?;
    let renewal_pool = connection::pool(config.clone(), &settings, 1)?;
    drop(pool.get().await?);
    Ok(Opened { pool, lease_pool, renewal_pool, history_pool, config, cluster, answer_timeout, pool_size })
}

fn crashed(error: &tokio::task::JoinError) -> StoreError {
    StoreError::Query { code: "client".into(), message: format!("a task of the store ended early: {error}") }
}
