//! Frames a second of decoding a clip on one thread, and nothing else: `KINORA_BENCH_CLIP=clip.mp4 cargo bench -p
//! kinora-media`.
//!
//! The counterpart of `ffmpeg -threads 1 -i clip.mp4 -an -f null -`. Without a clip there is nothing to measure, and it says so.
#![allow(clippy::print_stdout, reason = "a bench's output is its purpose")]

use std::time::Instant;

use kinora_media::{Address, DecodeOptions, FrameReader, Item, OpenOptions};

fn main() {
    let Some(clip) = std::env::var_os("KINORA_BENCH_CLIP") else {
        println!("decode: KINORA_BENCH_CLIP names no clip");
        return;
    };
    let clip = clip.into_string().expect("the clip's path should be UTF-8");
    let address = Address::parse(&clip).expect("the clip's path should be an address");
    let start = Instant::now();
    let mut reader = FrameReader::open(&address, &OpenOptions::default(), &DecodeOptions::default())
        .expect("the clip should open");
    let mut frames = 0;
    loop {
        match reader.next_item() {
            Item::Frame(..) => frames += 1,
            Item::Lost(lost) => panic!("{} frames are lost: {}", lost.count, lost.reason),
            Item::End { error } => {
                assert!(error.is_none(), "{error:?}");
                break;
            }
        }
    }
    let rate = f64::from(frames) / start.elapsed().as_secs_f64();
    println!("decode: {frames} frames, {rate:.1} frames a second");
}
