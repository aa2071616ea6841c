//! Sessions with servers: GStreamer's, which real cameras are built on, and a scripted one that plays their faults.
//!
//! One binary, so that it is linked once. Needs the programs that `make setup` brings.

#![allow(clippy::unwrap_used, reason = "clippy exempts the test functions, not the helpers beside them")]

mod rtsp {
    mod authentication;
    mod gstreamer;
    mod script;
    mod scripted;
    mod support;
    mod times;
}
