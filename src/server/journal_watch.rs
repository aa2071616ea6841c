//! Tells the log when the journal takes no events, and when it takes them again.

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, error, info};

use crate::journal::Journal;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks from now on, on the current System.
pub(super) fn start(journal: Arc<Journal>, log: Logger) {
    actix::spawn(async move {
        let mut is_refusing = false;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let trouble = journal.trouble();
            match &trouble {
                Some(why) if !is_refusing => error!(log, "the journal takes no events"; "error" => why),
                None if is_refusing => info!(log, "the journal takes events again"),
                _ => {}
            }
            is_refusing = trouble.is_some();
        }
    });
}
