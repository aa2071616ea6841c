//! `kinora serve` as it is but for its model, whose networks answer at once: so a rate is the test's and not the
//! machine's. All else is real: the process, HTTP, WebSocket, journal and PostgreSQL.

mod outage;
#[path = "../../../tests/outages.rs"]
mod outages;
mod scripted;
mod watcher;
