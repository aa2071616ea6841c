//! The round of every minute: partitions for the days to come, and retention.

use std::sync::Arc;
use std::time::Duration;

use kinora_actors::ports::Clock;
use slog::{Logger, info, warn};

use crate::config::Storage;
use crate::store::{Retention, Store};

const EVERY: Duration = Duration::from_secs(60);
/// Days that have their partition before they begin.
const DAYS_AHEAD: u16 = 2;

/// Starts the round on the current System; the first one is now.
pub(super) fn start(store: Store, storage: &Storage, clock: Arc<dyn Clock>, log: Logger) {
    let keep =
        Retention { max_age: Some(storage.retention_max_age), max_bytes: Some(storage.retention_max_bytes) };
    actix::spawn(async move {
        loop {
            round(&store, keep, clock.unix_us(), &log).await;
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
