//! Connections: the runtime that drives them, the pool, and what each connection is told first.

use std::path::Path;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime as PoolRuntime,
};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{CancelToken, Config, NoTls};

use super::error::StoreError;
use super::settings::StoreSettings;

/// Threads that drive connections: one is enough for the bytes, two keep a long decode from delaying others.
const THREADS: usize = 2;
/// How often idle connections beyond the pool's size are closed.
const TEND_EVERY: Duration = Duration::from_secs(10);
/// How long PostgreSQL may take to be told of a statement that nobody waits for, and to end it.
const CANCEL_LIMIT: Duration = Duration::from_millis(400);
/// Database and role of the private cluster.
const EMBEDDED_NAME: &str = "kinora";

/// The store's own runtime.
///
/// # Errors
/// [`StoreError::Unavailable`] if the system gives no threads.
pub(super) fn runtime() -> Result<Runtime, StoreError> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("kinora-store")
        .enable_all()
        .build()
        .map_err(|error| StoreError::Unavailable(format!("cannot start the store's threads: {error}")))
}

/// Reads a connection string.
///
/// # Errors
/// [`StoreError::Settings`], which does not repeat the string: it may hold a password.
pub(super) fn parse(url: &str) -> Result<Config, StoreError> {
    url.parse().map_err(|_| {
        StoreError::Settings(
            "url is neither `embedded` nor a string such as postgres://user:password@host/database".into(),
        )
    })
}

/// Connects to the private cluster behind `socket` and makes Kinora's database if it is not there.
///
/// # Errors
/// [`StoreError::Unavailable`] if the cluster does not answer.
pub(super) async fn prepare_embedded(socket: &Path, settings: &StoreSettings) -> Result<Config, StoreError> {
    let mut config = Config::new();
    config.host_path(socket).user(EMBEDDED_NAME).dbname("postgres").connect_timeout(settings.connect_timeout);
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let found = client.query_opt("select 1 from pg_database where datname = $1", &[&EMBEDDED_NAME]).await?;
    if found.is_none() {
        client.batch_execute(&format!("create database {EMBEDDED_NAME}")).await?;
    }
    drop(client);
    // Its result is the connection's end, which was just asked for.
    let _ = driver.await;
    config.dbname(EMBEDDED_NAME);
    Ok(config)
}

/// A pool of `most` connections; none is opened yet.
///
/// # Errors
/// [`StoreError::Settings`] for sizes that no pool has.
pub(super) fn pool(config: Config, settings: &StoreSettings, most: usize) -> Result<Pool, StoreError> {
    let manager =
        Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Verified });
    let recycle_after = settings.recycle_after;
    let too_old = Hook::sync_fn(move |_, metrics| {
        if metrics.age() < recycle_after {
            Ok(())
        } else {
            Err(HookError::message("old enough to be replaced"))
        }
    });
    Pool::builder(manager)
        .runtime(PoolRuntime::Tokio1)
        .max_size(most.max(1))
        .wait_timeout(Some(settings.connect_timeout))
        .create_timeout(Some(settings.connect_timeout))
        .recycle_timeout(Some(settings.connect_timeout))
        .pre_recycle(too_old)
        .build()
        .map_err(|error| StoreError::Settings(error.to_string()))
}

/// Closes idle connections beyond `keep`, oldest first, for as long as the store lives.
pub(super) async fn tend(pool: Pool, keep: usize) {
    let mut ticks = tokio::time::interval(TEND_EVERY);
    while !pool.is_closed() {
        ticks.tick().await;
        close_surplus(&pool, keep);
    }
}

/// Closes idle connections until `keep` are left, or none is idle.
pub(super) fn close_surplus(pool: &Pool, keep: usize) {
    let mut surplus = pool.status().size.saturating_sub(keep);
    pool.retain(|_, _| {
        let close = surplus > 0;
        surplus -= usize::from(close);
        !close
    });
}

/// Options that PostgreSQL is told with the connection: they cost no round trip and cannot be forgotten.
pub(super) fn tell_first(config: &mut Config, settings: &StoreSettings) {
    let limit = settings.statement_timeout.as_millis();
    let given = config.get_options().unwrap_or_default();
    config.options(format!("{given} -c statement_timeout={limit} -c timezone=UTC"));
    config.connect_timeout(settings.connect_timeout);
    // A peer that vanished without a word is noticed while its connection waits for an answer.
    config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(30));
    if config.get_application_name().is_none() {
        config.application_name("kinora");
    }
}

/// Has PostgreSQL end the statement that `task` waits for, and waits a moment for what the task makes of it; nothing if it does
/// not end.
pub(super) async fn cancel<T>(token: &CancelToken, task: impl Future<Output = T>) -> Option<T> {
    // A server that does not take it does not answer the task either.
    let _ = tokio::time::timeout(CANCEL_LIMIT, token.cancel_query(NoTls)).await;
    tokio::time::timeout(CANCEL_LIMIT, task).await.ok()
}
