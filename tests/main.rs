//! Black-box tests: the `kinora` binary as its users run it, with real files, real senders and real weights.
//!
//! One binary, so that it is linked once. Needs the weights and the programs that `make setup` brings; a test that
//! misses one of them fails and says so.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]
#![allow(clippy::print_stdout, reason = "measured figures are told with --nocapture")]

mod accounts;
mod accuracy;
mod agent_deadlines;
mod agents;
mod analyze;
mod api_document;
mod bad_input;
mod camera_access;
mod camera_losses;
mod camera_probe;
mod camera_redirects;
mod camera_sources;
mod camera_times;
mod camera_transport_times;
mod clips;
mod config;
mod dancer;
mod documents;
mod faults_cameras;
mod faults_database;
mod faults_fanout;
mod faults_hangs;
mod faults_resources;
mod faults_sockets;
mod first_event;
mod gst_sender;
mod invariants;
mod log_search;
mod outages;
mod proxy;
mod raw_socket;
mod refusals;
mod rtsp_camera;
#[path = "../rtsp/tests/rtsp/script.rs"]
#[allow(dead_code, reason = "the tests of the crate use all of it")]
mod script;
mod server_faults;
mod server_flow;
mod server_streams;
mod server_support;
mod several_servers;
mod stream_orders;
mod support;
mod transport;
