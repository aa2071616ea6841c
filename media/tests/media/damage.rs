//! Loss in mid-stream: what is decoded from a damaged reference is not passed off as good.

use std::collections::BTreeMap;

use super::support::*;

/// Bytes of a packet of a transport stream.
const TS_PACKET: usize = 188;

/// Pictures by their time stamp.
fn by_pts(all: &Everything) -> BTreeMap<i64, u64> {
    all.frames.iter().map(|(frame, _)| (frame.pts().unwrap(), fingerprint(frame))).collect()
}

/// The stream without `count` packets of its video from the packet number `at` on.
fn without(bytes: &[u8], at: usize, count: usize) -> Vec<u8> {
    let is_video = |packet: &[u8]| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) == 0x100;
    let mut left = count;
    let keep = |(number, packet): (usize, &[u8])| {
        let lost = number >= at && left > 0 && is_video(packet);
        left -= usize::from(lost);
        (!lost).then(|| packet.to_vec())
    };
    bytes.chunks(TS_PACKET).enumerate().filter_map(keep).flatten().collect()
}

/// What became of a damaged stream's frames.
struct Verdict {
    /// Pictures that are not those of the intact stream.
    wrong: usize,
    /// Those of them that are said to be good.
    passed: Vec<usize>,
    /// Frames that are said to be corrupt.
    flagged: Vec<usize>,
    /// Key frames.
    keys: Vec<usize>,
}

fn judge(all: &Everything, intact: &BTreeMap<i64, u64>) -> Verdict {
    let mut verdict = Verdict { wrong: 0, passed: Vec::new(), flagged: Vec::new(), keys: Vec::new() };
    for (at, (frame, meta)) in all.frames.iter().enumerate() {
        let is_wrong = intact.get(&frame.pts().unwrap()) != Some(&fingerprint(frame));
        verdict.wrong += usize::from(is_wrong);
        verdict.passed.extend((is_wrong && !meta.corrupt).then_some(at));
        verdict.flagged.extend(meta.corrupt.then_some(at));
        verdict.keys.extend(frame.is_key().then_some(at));
    }
    verdict
}

#[test]
fn after_lost_packets_no_wrong_picture_is_good_and_the_next_key_frame_ends_the_damage() {
    let folder = Folder::new();
    let mut wrong = 0;
    for codec in [X264, "-c:v libx264 -preset veryfast -bf 0 -g 15 -pix_fmt yuv420p", "-c:v mpeg2video -g 15"]
    {
        let clip = folder.make("a.ts", &format!("{} {codec}", source(120)));
        let bytes = std::fs::read(&clip).unwrap();
        let intact = by_pts(&read_all(&mut open(&clip)));
        for (tenth, count) in [(2, 1), (3, 2), (4, 7), (5, 40), (7, 1), (8, 3)] {
            let at = bytes.len() / TS_PACKET * tenth / 10;
            let damaged = folder.write("b.ts", &without(&bytes, at, count));
            let verdict = judge(&read_all(&mut open(&damaged)), &intact);
            wrong += verdict.wrong;
            let case = format!("{codec}: {count} packets lost at {tenth}0 %: {:?}", verdict.flagged);
            assert_eq!(verdict.passed, Vec::<usize>::new(), "{case}");
            let (Some(first), Some(last)) = (verdict.flagged.first(), verdict.flagged.last()) else {
                continue;
            };
            // The frame before the loss shares its fate where only its end tells that something is missing.
            let ends = verdict.keys.iter().find(|&key| key > last).expect("a key frame after the damage");
            let between = verdict.keys.iter().filter(|&key| (first..ends).contains(&key)).count();
            assert!(between <= 1, "{case} with key frames at {:?}", verdict.keys);
        }
    }
    assert!(wrong > 50, "the losses should have been seen: {wrong}");
}
