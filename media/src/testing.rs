//! A clip for tests that look inside.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::address::Address;
use crate::input::{Input, OpenOptions};
use crate::packet::Packet;

/// Frames from one key frame to the next.
pub(crate) const GOP: usize = 10;
/// Frames of the clip.
pub(crate) const FRAMES: usize = 60;

/// A transport stream of H.264 with B frames, with the parameter sets in front of each key frame. Removed with this value.
pub(crate) struct Clip(PathBuf);

impl Clip {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kinora-clip-{}-{}.ts", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let source =
            format!("-nostdin -v error -y -f lavfi -i testsrc2=size=128x96:rate=30 -frames:v {FRAMES}");
        let codec = format!(
            "-c:v libx264 -preset veryfast -bf 2 -g {GOP} -sc_threshold 0 -pix_fmt yuv420p -threads 1 -f mpegts"
        );
        let arguments = source.split(' ').chain(codec.split(' '));
        assert!(Command::new("ffmpeg").args(arguments).arg(&path).status().unwrap().success());
        Self(path)
    }

    pub(crate) fn address(&self) -> Address {
        Address::file(self.0.to_str().unwrap())
    }

    pub(crate) fn input(&self) -> Input {
        Input::open(&self.address(), &OpenOptions::default()).unwrap()
    }

    /// All access units, in order of decoding.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        let mut input = self.input();
        std::iter::from_fn(|| input.read().unwrap()).collect()
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
