//! Access units without a container give the frames of the file that they were cut from.

use kinora_media::{DecodeOptions, Decoded, ElementaryCodec, ElementaryDecoder, ElementaryUnit, Frame};

use super::support::*;

const FRAMES: u32 = 45;

/// An access unit delimiter with its start code: where a unit begins.
fn delimiter(codec: ElementaryCodec) -> &'static [u8] {
    match codec {
        ElementaryCodec::H264 => &[0, 0, 0, 1, 9],
        ElementaryCodec::H265 => &[0, 0, 0, 1, 70],
    }
}

/// The access units of a stream whose encoder was told to write delimiters, with whether decoding may begin there.
fn units(stream: &[u8], codec: ElementaryCodec) -> Vec<(&[u8], bool)> {
    let mark = delimiter(codec);
    let starts: Vec<usize> = (0..stream.len()).filter(|&at| stream[at..].starts_with(mark)).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let set: &[u8] = match codec {
        ElementaryCodec::H264 => &[0, 0, 0, 1, 0x67],
        ElementaryCodec::H265 => &[0, 0, 0, 1, 0x42],
    };
    let with_key = |unit: &[u8]| unit.windows(set.len()).any(|bytes| bytes == set);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| (&stream[start..end], with_key(&stream[start..end])))
        .collect()
}

/// What came out: frames with the numbers of their units, and how many units were lost.
struct Output {
    frames: Vec<(Frame, usize)>,
    lost: u64,
}

fn decode(codec: ElementaryCodec, units: &[(&[u8], bool)]) -> Output {
    let pts: Vec<_> = (0..units.len()).map(|number| number as i64 * 3_000).collect();
    decode_at(codec, units, &pts)
}

fn decode_at(codec: ElementaryCodec, units: &[(&[u8], bool)], pts: &[i64]) -> Output {
    let options = DecodeOptions::default();
    let mut decoder = ElementaryDecoder::new(codec, (1, 90_000), "a test", &options).unwrap();
    let mut output = Output { frames: Vec::new(), lost: 0 };
    for (number, &(data, is_key)) in units.iter().enumerate() {
        decoder.push(&ElementaryUnit { data, pts: pts[number], is_key, is_damaged: false }, number).unwrap();
    }
    decoder.finish().unwrap();
    while let Some(item) = decoder.pop() {
        match item {
            Decoded::Frame(frame, meta, number) => {
                assert_eq!(meta.index, output.frames.len() as u64 + output.lost);
                output.frames.push((frame, number));
            }
            Decoded::Lost(lost) => output.lost += lost.count,
        }
    }
    let account = decoder.account();
    assert_eq!((account.received, account.in_flight), (units.len() as u64, 0));
    assert_eq!((account.frames, account.lost), (output.frames.len() as u64, output.lost));
    output
}

#[test]
fn units_give_the_frames_of_the_file() {
    for (codec, name, options) in [
        (ElementaryCodec::H264, "a.h264", "-c:v libx264 -preset veryfast -g 15 -bf 0 -x264-params aud=1"),
        (
            ElementaryCodec::H265,
            "a.hevc",
            "-c:v libx265 -preset ultrafast -x265-params aud=1:log-level=none:bframes=0:repeat-headers=1:keyint=15",
        ),
    ] {
        let folder = Folder::new();
        let clip = folder.make(name, &format!("{} {options} -pix_fmt yuv420p", source(FRAMES)));
        let expected = fingerprints(&read_all(&mut open(&clip)));
        let stream = std::fs::read(&clip).unwrap();
        let output = decode(codec, &units(&stream, codec));
        let found: Vec<_> = output.frames.iter().map(|(frame, _)| fingerprint(frame)).collect();
        assert!(found == expected, "{name}: {} of {FRAMES}", found.len());
        assert!(output.frames.iter().enumerate().all(|(index, (_, number))| index == *number));
    }
}

#[test]
fn notes_follow_their_frames_when_pictures_are_reordered() {
    let folder = Folder::new();
    // The same encoder twice: one file knows the times, the other has its units cut by delimiters.
    let encode = format!("{} {X264} -x264-params aud=1", source(FRAMES));
    let (clip, raw) = (folder.make("b.mp4", &encode), folder.make("b.h264", &encode));
    let expected = fingerprints(&read_all(&mut open(&clip)));
    let stream = std::fs::read(&raw).unwrap();
    let units = units(&stream, ElementaryCodec::H264);
    let pts = timestamps(&clip);
    assert!(!pts.is_sorted(), "this clip should have B frames");
    let output = decode_at(ElementaryCodec::H264, &units, &pts);
    let found: Vec<_> = output.frames.iter().map(|(frame, _)| fingerprint(frame)).collect();
    assert!(found == expected, "{} of {FRAMES}", found.len());
    let shown: Vec<_> = output.frames.iter().map(|(_, number)| pts[*number]).collect();
    assert!(shown.is_sorted(), "each note belongs to its own frame");
}

/// The presentation timestamps of a clip's packets, in order of decoding.
fn timestamps(clip: &std::path::Path) -> Vec<i64> {
    let options = "-v error -select_streams v:0 -show_entries packet=pts -of csv=p=0";
    let out = std::process::Command::new("ffprobe").args(options.split(' ')).arg(clip).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect()
}

#[test]
fn units_before_a_key_frame_and_damaged_ones_are_accounted_for() {
    let folder = Folder::new();
    let options = "-c:v libx264 -preset veryfast -g 15 -bf 0 -x264-params aud=1 -pix_fmt yuv420p";
    let clip = folder.make("c.h264", &format!("{} {options}", source(FRAMES)));
    let stream = std::fs::read(&clip).unwrap();
    let mut units = units(&stream, ElementaryCodec::H264);
    units[20].0 = &[0, 0, 0, 1, 0x41];
    let output = decode(ElementaryCodec::H264, &units[5..]);
    assert!(
        output.lost > 0 && output.frames.len() >= 28,
        "{} lost, {} frames",
        output.lost,
        output.frames.len()
    );
    assert!(output.frames.iter().all(|(_, number)| *number != 15), "a unit without a picture gives none");
}

#[test]
fn an_empty_unit_is_refused_and_the_stream_goes_on() {
    let folder = Folder::new();
    let options = "-c:v libx264 -preset veryfast -g 15 -bf 0 -x264-params aud=1 -pix_fmt yuv420p";
    let clip = folder.make("d.h264", &format!("{} {options}", source(FRAMES)));
    let stream = std::fs::read(&clip).unwrap();
    let mut units = units(&stream, ElementaryCodec::H264);
    units.insert(10, (&[], false));
    let output = decode(ElementaryCodec::H264, &units);
    assert_eq!((output.frames.len(), output.lost), (FRAMES as usize, 1));
}
