//! The crate against real media: what the ffmpeg command line makes, it must read; what it writes, it must read again.

#![allow(clippy::unwrap_used, reason = "clippy exempts the test functions, not the helpers beside them")]
#![allow(clippy::print_stdout, reason = "measured figures are told with --nocapture")]

mod media {
    mod accounting;
    mod broken;
    mod bytes;
    mod damage;
    mod elementary;
    mod formats;
    mod hardware;
    mod mp4;
    mod mutated;
    mod network;
    mod reach;
    mod support;
}
