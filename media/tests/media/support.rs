//! Clips made by the ffmpeg command line, and a reader that collects what comes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kinora_media::{
    Account, Address, CancelToken, DecodeOptions, ErrorKind, Frame, FrameMeta, FrameReader, Item, Lost,
    MediaError, OpenOptions,
};

/// A folder of one test, removed with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kinora-media-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with these bytes.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.file(name), bytes).unwrap();
        self.file(name)
    }

    /// The names of what is in it, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A named pipe.
    pub(super) fn pipe(&self, name: &str) -> PathBuf {
        assert!(Command::new("mkfifo").arg(self.file(name)).status().unwrap().success());
        self.file(name)
    }

    /// Runs `ffmpeg ARGUMENTS name`; the arguments are separated by spaces.
    pub(super) fn make(&self, name: &str, arguments: &str) -> PathBuf {
        ffmpeg(arguments, self.file(name).to_str().unwrap());
        self.file(name)
    }

    /// `frames` frames of H.264 with B frames, 30 a second.
    pub(super) fn clip(&self, name: &str, frames: u32) -> PathBuf {
        self.make(name, &format!("{} {X264}", source(frames)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) const X264: &str = "-c:v libx264 -preset veryfast -bf 2 -g 15 -pix_fmt yuv420p -threads 2";

pub(super) fn source(frames: u32) -> String {
    format!("-f lavfi -i testsrc2=size=320x240:rate=30 -frames:v {frames}")
}

pub(super) fn ffmpeg(arguments: &str, output: &str) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(arguments.split_whitespace()).arg(output);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{command:?}: {}", String::from_utf8_lossy(&made.stderr));
}

/// Number of frames by ffprobe's count.
pub(super) fn probe_frames(path: &Path) -> u64 {
    let options =
        "-v error -select_streams v:0 -count_frames -show_entries stream=nb_read_frames -of csv=p=0";
    let out = Command::new("ffprobe").args(options.split(' ')).arg(path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.trim().trim_end_matches(',').lines().next().unwrap().parse().unwrap()
}

pub(super) fn options() -> OpenOptions {
    let (open_timeout, read_timeout) = (Duration::from_secs(20), Duration::from_secs(20));
    OpenOptions { cancel: CancelToken::new(), open_timeout, read_timeout, ..OpenOptions::default() }
}

pub(super) fn address(path: &Path) -> Address {
    Address::file(path.to_str().unwrap())
}

pub(super) fn open(path: &Path) -> FrameReader {
    FrameReader::open(&address(path), &options(), &DecodeOptions::default()).unwrap()
}

pub(super) fn open_error(path: &Path) -> MediaError {
    match FrameReader::open(&address(path), &options(), &DecodeOptions::default()) {
        Err(error) => error,
        Ok(_) => panic!("{} was opened", path.display()),
    }
}

/// All that a reader gave.
#[derive(Default)]
pub(super) struct Everything {
    pub(super) frames: Vec<(Frame, FrameMeta)>,
    pub(super) lost: Vec<Lost>,
    pub(super) error: Option<ErrorKind>,
    pub(super) message: String,
    pub(super) account: Account,
}

/// Reads to the end, and holds the account to its promise at each step.
pub(super) fn read_all(reader: &mut FrameReader) -> Everything {
    let mut all = Everything::default();
    loop {
        let before = (all.frames.len() as u64, lost(&all));
        match reader.next_item() {
            Item::Frame(frame, meta) => {
                assert_eq!(meta.index, before.0 + before.1, "the index counts frames and losses");
                all.frames.push((frame, meta));
            }
            Item::Lost(part) => {
                assert!(part.count > 0);
                all.lost.push(part);
            }
            Item::End { error } => {
                all.message = error.as_ref().map(ToString::to_string).unwrap_or_default();
                all.error = error.map(|error| error.kind());
                break;
            }
        }
    }
    all.account = reader.account();
    assert_eq!(all.account.in_flight, 0);
    assert_eq!(all.account.frames, all.frames.len() as u64);
    assert_eq!(all.account.lost, lost(&all));
    assert_eq!(all.account.received, all.account.frames + all.account.lost);
    all
}

pub(super) fn lost(all: &Everything) -> u64 {
    all.lost.iter().map(|lost| lost.count).sum()
}

/// A number that differs between pictures that differ: FNV-1a over the visible bytes of all planes.
pub(super) fn fingerprint(frame: &Frame) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for index in 0..frame.layout().planes() {
        let plane = frame.plane(index).unwrap();
        let (row_bytes, rows) = frame.layout().plane_size(index, frame.width(), frame.height());
        assert_eq!(plane.rows, rows);
        assert_eq!(plane.data.len(), plane.stride * (rows - 1) + row_bytes);
        for row in 0..rows {
            for &byte in &plane.data[row * plane.stride..][..row_bytes] {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    hash
}

pub(super) fn fingerprints(all: &Everything) -> Vec<u64> {
    all.frames.iter().map(|(frame, _)| fingerprint(frame)).collect()
}
