//! The server's actors: one family a stream, from access units to numbered JSON events, and what they share.
//!
//! ```text
//! StreamRegistry ── owns ──> StreamSupervisor (one a stream; `lifecycle` decides, `once` for a single session)
//!       │                        │
//!       │                        ├─ a connection:  Decoder ──Handoff──> Preprocessor ──PublishFrame──┐
//!       │                        │                                       │      ^                    v
//!       │                        └─ a session:  SessionLedger          Infer  Inferred     SessionBroadcaster
//!       │                                                                v      │                    │
//!       └── watches ──> Lanes ── own ──> InferenceWorker (one a lane) ───┴──────┘                EventSink
//!                                                                                                    │
//!                     clients <── Hub (told once it is kept) <─────────────────────────────── the journal
//!                    database <── DbWriter (read from behind; its keeper rebuilds it) <── EventLog ──┘
//! ```
//!
//! A connection is thrown away whole when a part of it fails; a session outlives it, since its numbers and its
//! account are in its ledger; an event is kept in the journal before anyone is told of it.
//!
//! This crate assumes nothing about FFmpeg, candle, SQL or HTTP: it speaks its own [`domain`] types and the
//! [`ports`], each a trait for test injection with one adapter in the binary. It is not a general actor
//! framework: actix is, and what actix does not do (restart after a panic, bounded sends) is done here by
//! [`guard`] and by the queues of [`handoff`].

#![forbid(unsafe_code)]

pub mod backoff;
pub mod batch;
pub mod broadcaster;
pub mod capture;
mod crew;
pub mod db_writer;
pub mod db_writer_keeper;
pub mod decoder;
pub mod domain;
mod encode;
pub mod family;
pub mod guard;
mod habits;
pub mod handoff;
pub mod hub;
pub mod inference;
pub mod lanes;
pub mod ledger;
mod lent;
pub mod lifecycle;
mod once;
pub mod policy;
pub mod ports;
pub mod preprocessor;
pub mod registry;
pub mod restart;
pub mod slot;
pub mod stats;
pub mod status;
pub mod supervisor;
pub mod threads;
pub mod timeline;
mod vain;

#[cfg(test)]
mod db_writer_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod lane_tests;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod stream_tests;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod thread_tests;
