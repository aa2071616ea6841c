//! The crate against real media: what the ffmpeg command line makes, it must read; what it writes, it must read again.

mod media {
    mod accounting;
    mod broken;
    mod formats;
    mod support;
}
