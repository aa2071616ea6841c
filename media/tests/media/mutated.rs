//! Mutated files: whatever bytes come, the crate ends in order. No crash, no hang, and the account balances.

use std::sync::mpsc;
use std::time::Duration;

use kinora_media::{DecodeOptions, FrameReader};

use super::support::*;

/// Files of the short form, and of the one that `make soak` runs.
const FILES: u64 = 150;
const FILES_SOAK: u64 = 2_000;
/// A file that takes longer than this hangs; the clip has a second of small pictures.
const HANG: Duration = Duration::from_secs(5);

/// Numbers that look random and are the same at each run (xorshift).
struct Random(u64);

impl Random {
    fn of(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // The first numbers of neighbouring seeds resemble one another.
        (0..8).for_each(|_| drop(random.below(2)));
        random
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }

    /// A stretch of at most `most` bytes in `len` bytes.
    fn stretch(&mut self, len: usize, most: usize) -> std::ops::Range<usize> {
        let begin = self.below(len);
        begin..(begin + 1 + self.below(most)).min(len)
    }
}

/// One to four mutations of a kind each: bits, noise, zeros, a hole, a repetition, a cut.
fn mutate(intact: &[u8], seed: u64) -> Vec<u8> {
    let (mut bytes, mut random) = (intact.to_vec(), Random::of(seed));
    for _ in 0..=random.below(4) {
        let len = bytes.len();
        match random.below(6) {
            0 => (0..=random.below(64)).for_each(|_| bytes[random.below(len)] ^= 1 << random.below(8)),
            1 => {
                let noise = random.stretch(len, 400);
                bytes[noise].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
            }
            2 => bytes[random.stretch(len, 2_000)].fill(0),
            3 => drop(bytes.drain(random.stretch(len, 3_000))),
            4 => {
                let again = bytes[random.stretch(len, 3_000)].to_vec();
                let at = random.below(len);
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(len - random.below(len / 2)),
        }
    }
    bytes
}

/// Reads a file on a thread of its own, which a hang may keep; how many frames it gave.
fn read_in_time(path: std::path::PathBuf) -> Option<Option<usize>> {
    let (teller, told) = mpsc::channel();
    std::thread::spawn(move || {
        let reader = FrameReader::open(&address(&path), &options(), &DecodeOptions::default());
        // Nobody listens any more when it took too long.
        let _ = teller.send(reader.ok().map(|mut reader| read_all(&mut reader).frames.len()));
    });
    told.recv_timeout(HANG).ok()
}

fn read_mutated(files: u64) {
    let folder = Folder::new();
    let clips = ["a.mp4", "a.ts"].map(|name| (name, std::fs::read(folder.clip(name, 30)).unwrap()));
    let (mut opened, mut frames) = (0, 0);
    for seed in 0..files {
        let (name, intact) = &clips[usize::try_from(seed).unwrap() % clips.len()];
        let path = folder.write(&format!("{seed}-{name}"), &mutate(intact, seed));
        let found = read_in_time(path.clone());
        let found = found.unwrap_or_else(|| panic!("seed {seed} of {name} hangs or panics"));
        opened += u64::from(found.is_some());
        frames += found.unwrap_or(0);
        std::fs::remove_file(path).unwrap();
    }
    println!("{files} mutated files: {opened} could be opened and gave {frames} frames");
    assert!(opened > files / 3, "too few could be opened to tell anything: {opened} of {files}");
}

#[test]
fn mutated_files_neither_crash_nor_hang() {
    read_mutated(FILES);
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_two_thousand_mutated_files_neither_crash_nor_hang() {
    read_mutated(FILES_SOAK);
}
