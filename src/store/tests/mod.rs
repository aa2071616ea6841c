//! The store against a real PostgreSQL.

mod events;
mod migrations;
mod partitions;
mod records;
mod store;
