//! The round of every minute: partitions for the days to come, retention, and sessions of servers that are lost.

use std::sync::Arc;
use std::time::Duration;

use kinora_actors::domain::EndReason;
use kinora_actors::ports::Clock;
use slog::{Logger, info, warn};

use crate::config::Storage;
use crate::store::{Retention, SessionEnd, Store};

const EVERY: Duration = Duration::from_secs(60);
/// Days that have their partition before they begin.
const DAYS_AHEAD: u16 = 2;
/// A server that is lost has so long to come back with what it had journalled; then its sessions are ended without.
const LOST_AFTER: Duration = Duration::from_secs(600);

/// Starts the round on the current System; the first one is now. With `several`, sessions of others are looked after.
pub(super) fn start(store: Store, storage: &Storage, several: bool, clock: Arc<dyn Clock>, log: Logger) {
    let keep =
        Retention { max_age: Some(storage.retention_max_age), max_bytes: Some(storage.retention_max_bytes) };
    actix::spawn(async move {
        loop {
            round(&store, keep, clock.unix_us(), &log).await;
            if several {
                end_lost_sessions(&store, clock.unix_us(), &log).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    });
}

async fn round(store: &Store, keep: Retention, now_us: i64, log: &Logger) {
    if let Err(error) = store.ensure_partitions(now_us, DAYS_AHEAD).await {
        warn!(log, "partitions could not be made"; "error" => %error);
    }
    match store.enforce_retention(now_us, keep).await {
        Ok(outcome) if outcome.dropped.is_empty() && outcome.deleted_rows == 0 => {}
        Ok(outcome) => info!(log, "retention removed events"; "outcome" => ?outcome),
        Err(error) => warn!(log, "retention failed"; "error" => %error),
    }
}

async fn end_lost_sessions(store: &Store, now_us: i64, log: &Logger) {
    let end = SessionEnd { at_us: now_us, reason: EndReason::Restart.code().to_owned() };
    let before_us = now_us.saturating_sub(i64::try_from(LOST_AFTER.as_micros()).unwrap_or(i64::MAX));
    match store.close_lost_sessions(&end, before_us).await {
        Ok(ended) if ended.is_empty() => {}
        Ok(ended) => {
            warn!(log, "sessions of servers that are lost were ended"; "sessions" => ended.join(" "))
        }
        Err(error) => warn!(log, "sessions of servers that are lost could not be ended"; "error" => %error),
    }
}
