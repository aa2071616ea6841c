//! Clips of the test dancer, rendered once for all tests by the binary under test.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{ffmpeg, kinora, scratch_file, text};

/// The whole dance: 240 frames of 1280x720 at 30 frames a second, with sound.
pub(crate) struct Clip {
    pub(crate) path: PathBuf,
    pub(crate) truth: Value,
    pub(crate) frames: u64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// The clip that the golden numbers were made from.
pub(crate) fn dance() -> &'static Clip {
    static CLIP: OnceLock<Clip> = OnceLock::new();
    CLIP.get_or_init(|| {
        let (path, truth) = (scratch_file("dance.mp4"), scratch_file("truth.json"));
        let run = kinora(&[
            "dancer",
            "--size",
            "1280x720",
            "--fps",
            "30",
            "--frames",
            "240",
            "--out",
            text(&path),
            "--truth",
            text(&truth),
        ]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let truth = serde_json::from_str(&std::fs::read_to_string(truth).unwrap()).unwrap();
        Clip { path, truth, frames: 240, width: 1280.0, height: 720.0 }
    })
}

/// A short clip for tests that need only some video: 24 frames of 640x360 at 30 frames a second.
pub(crate) fn short() -> &'static PathBuf {
    static CLIP: OnceLock<PathBuf> = OnceLock::new();
    CLIP.get_or_init(|| {
        let path = scratch_file("short.mp4");
        let run =
            kinora(&["dancer", "--size", "640x360", "--fps", "30", "--frames", "24", "--out", text(&path)]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        path
    })
}

/// The short clip in an MPEG-TS file, without encoding it again.
pub(crate) fn short_mpegts() -> &'static PathBuf {
    static CLIP: OnceLock<PathBuf> = OnceLock::new();
    CLIP.get_or_init(|| {
        let path = scratch_file("short.ts");
        ffmpeg(&["-i", text(short()), "-c", "copy", "-f", "mpegts", text(&path)]);
        path
    })
}
