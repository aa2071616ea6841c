//! The store against a real PostgreSQL.

mod events;
mod leases;
mod logins;
mod migrations;
mod partitions;
mod records;
mod store;
