//! A transport stream that somebody else receives gives the frames of the file that it was.

use std::io::{Error, ErrorKind as Io, Read, Result};
use std::time::{Duration, Instant};

use kinora_media::{Address, DecodeOptions, ErrorKind, FrameReader, Input, MediaError, OpenOptions};

use super::support::*;

/// Gives a stream in pieces of odd sizes, then ends as it is told to.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    end: fn() -> Result<usize>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = buffer.len().min(self.bytes.len() - self.at).min(1 + self.at % 500);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        if count == 0 { (self.end)() } else { Ok(count) }
    }
}

fn open_pieces(bytes: Vec<u8>, end: fn() -> Result<usize>) -> std::result::Result<Input, MediaError> {
    let address = Address::received("rtsp://camera.example/ts");
    Input::from_transport_stream(&address, Box::new(Pieces { bytes, at: 0, end }), &options())
}

/// A clip in a transport stream: the frames that it has and its bytes.
fn clip() -> (Vec<u64>, Vec<u8>) {
    let folder = Folder::new();
    let clip = folder.make("a.ts", &format!("{} {X264} -f mpegts", source(60)));
    (fingerprints(&read_all(&mut open(&clip))), std::fs::read(&clip).unwrap())
}

#[test]
fn pieces_give_the_frames_of_the_file() {
    let (expected, bytes) = clip();
    let input = open_pieces(bytes, || Ok(0)).unwrap();
    assert_eq!(input.video().container, "mpegts");
    let all = read_all(&mut FrameReader::new(input, &DecodeOptions::default()).unwrap());
    assert!(fingerprints(&all) == expected, "{:?} {}", all.account, all.message);
    assert_eq!(all.error, None);
}

#[test]
fn what_ends_the_bytes_ends_the_stream_with_its_kind() {
    for (end, kind) in [
        ((|| Err(Error::from(Io::TimedOut))) as fn() -> Result<usize>, ErrorKind::Timeout),
        (|| Err(Error::from(Io::ConnectionReset)), ErrorKind::Disconnected),
    ] {
        let (expected, bytes) = clip();
        let input = open_pieces(bytes, end).unwrap();
        let all = read_all(&mut FrameReader::new(input, &DecodeOptions::default()).unwrap());
        assert_eq!((all.error, all.frames.len()), (Some(kind), expected.len()), "{}", all.message);
    }
}

#[test]
fn a_reader_that_panics_is_an_error() {
    let (_, bytes) = clip();
    let input = open_pieces(bytes, || panic!("a fault of the reader")).unwrap();
    let all = read_all(&mut FrameReader::new(input, &DecodeOptions::default()).unwrap());
    assert!(all.error.is_some());
}

#[test]
fn a_stream_that_shows_no_picture_in_time_is_a_time_out() {
    // Stuffing for ever, and the tables of a stream whose packets do not come: the second waits longer than it may.
    let stuffing = [&[0x47, 0x1f, 0xff, 0x10][..], &[0xff; 184]].concat();
    let (_, clip) = clip();
    let endless = Endless { packet: stuffing, until: Instant::now() + Duration::from_secs(20) };
    let late = || {
        std::thread::sleep(Duration::from_millis(400));
        Err(Error::from(Io::TimedOut))
    };
    let tables = Pieces { bytes: clip[..3 * 188].to_vec(), at: 0, end: late };
    let sources: [Box<dyn Read + Send>; 2] = [Box::new(endless), Box::new(tables)];
    let brief = OpenOptions { open_timeout: Duration::from_millis(300), ..options() };
    let begun = Instant::now();
    for source in sources {
        let address = Address::received("rtsp://camera.example/ts");
        let error = Input::from_transport_stream(&address, source, &brief).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "the stuffing was read to its end");
}

/// Gives the same packet again and again. It ends for the sake of the test only.
struct Endless {
    packet: Vec<u8>,
    until: Instant,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = if Instant::now() < self.until { self.packet.len() } else { 0 };
        buffer[..count].copy_from_slice(&self.packet[..count]);
        Ok(count)
    }
}

#[test]
fn bytes_that_are_no_transport_stream_are_refused() {
    let error = open_pieces(vec![7; 100_000], || Ok(0)).err().unwrap();
    // As for a server that hangs up before anything can be recognised: it may be better at the next try.
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
}
