//! The pipeline: one family of actors a stream, from access units to numbered JSON events.
//!
//! ```text
//! StreamSupervisor ── owns ──> Decoder ──Handoff──> Preprocessor ──Infer──> InferenceWorker (one a lane)
//!                                                        │  ^───Inferred──────────┘
//!                                                        └──PublishFrame──> SessionBroadcaster ──> EventSink
//! ```
//!
//! This crate assumes nothing about FFmpeg, candle, SQL or HTTP: it speaks its own [`domain`] types and the
//! [`ports`], each a trait for test injection with one adapter in the binary. It is not a general actor
//! framework: actix is, and what actix does not do (restart after a panic, bounded sends) is done here by
//! [`guard`] and by the queues of [`handoff`].

#![forbid(unsafe_code)]

pub mod backoff;
pub mod broadcaster;
pub mod capture;
pub mod db_writer;
pub mod db_writer_keeper;
pub mod decoder;
pub mod domain;
mod encode;
pub mod family;
pub mod guard;
pub mod handoff;
pub mod hub;
pub mod inference;
pub mod lanes;
pub mod ledger;
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

#[cfg(test)]
mod db_writer_tests;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod testing;
