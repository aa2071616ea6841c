//! RTSP over TCP, against a server of a hundred lines: one client, one H.264 track, its media in the same connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use kinora_media::{Address, DecodeOptions, FrameReader};

use super::support::*;

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
                   a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n";

#[test]
fn rtsp_gives_the_same_frames_as_the_file() {
    let folder = Folder::new();
    // One slice a frame and no reordering, so that each slice is an access unit with the next timestamp.
    let codec = "-c:v libx264 -preset veryfast -bf 0 -g 15 -pix_fmt yuv420p -x264-params slices=1:threads=1";
    let clip = folder.make("a.h264", &format!("{} {codec}", source(60)));
    let expected = fingerprints(&read_all(&mut open(&clip)));
    let stream = std::fs::read(&clip).unwrap();
    let port = serve(move |connection| play(connection, &stream));
    let address = Address::parse(&format!("rtsp://viewer:hunter2@127.0.0.1:{port}/camera")).unwrap();
    let mut reader = FrameReader::open(&address, &options(), &DecodeOptions::default()).unwrap();
    assert_eq!(reader.input().video().time_base, (1, 90_000));
    let all = read_all(&mut reader);
    assert!(fingerprints(&all) == expected, "{:?} {:?} {}", all.account, all.lost, all.message);
    // FFmpeg's RTSP client gives the first access unit no time.
    let times: Vec<_> = all.frames.iter().skip(1).map(|(frame, _)| frame.pts()).collect();
    let wanted: Vec<_> = (1..60).map(|index| Some(3000 * index)).collect();
    assert_eq!(times, wanted);
}

fn serve(work: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || work(listener.accept().unwrap().0));
    port
}

/// Answers requests until PLAY, then sends the stream and hangs up.
fn play(mut connection: TcpStream, stream: &[u8]) {
    let mut requests = BufReader::new(connection.try_clone().unwrap());
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            requests.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let header =
            |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let method = lines[0].split(' ').next().unwrap();
        let (extra, body) = match method {
            "DESCRIBE" => {
                (format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", SDP.len()), SDP)
            }
            "SETUP" => {
                let transport = header("Transport:");
                assert!(
                    transport.contains("RTP/AVP/TCP") && transport.contains("interleaved=0-1"),
                    "{transport}"
                );
                (format!("Transport: {transport}\r\nSession: 1\r\n"), "")
            }
            "PLAY" => {
                ("Session: 1\r\nRange: npt=0-\r\nRTP-Info: url=track1;seq=0;rtptime=90000\r\n".to_owned(), "")
            }
            _ => ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n".to_owned(), ""),
        };
        let sequence = header("CSeq:");
        write!(connection, "RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{extra}\r\n{body}").unwrap();
        if method == "PLAY" {
            return send(&mut connection, stream);
        }
    }
}

/// Sends each NAL unit of an Annex B stream by RTP, whole or as FU-A fragments (RFC 6184, section 5.8).
fn send(connection: &mut TcpStream, stream: &[u8]) {
    let mut rtp = Rtp { connection, sequence: 0, time: 90_000 };
    for unit in units(stream) {
        let kind = unit[0] & 0x1f;
        let is_slice = (1..=5).contains(&kind);
        if unit.len() <= 1400 {
            rtp.send(&[unit], is_slice);
        } else {
            let (parts, last) = (unit[1..].chunks(1400), (unit.len() - 2) / 1400);
            for (index, part) in parts.enumerate() {
                let edge = (u8::from(index == 0) << 7) | (u8::from(index == last) << 6);
                rtp.send(&[&[unit[0] & 0x60 | 28, edge | kind], part], is_slice && index == last);
            }
        }
        rtp.time += if is_slice { 3000 } else { 0 };
    }
}

/// The NAL units between the start codes `00 00 01`; a zero before a start code belongs to it.
fn units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (3..stream.len()).filter(|&at| stream[at - 3..at] == [0, 0, 1]).collect();
    let ends = starts.iter().skip(1).map(|start| start - 3).chain([stream.len()]);
    let trimmed = |unit: &[u8]| unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| &stream[start..start + trimmed(&stream[start..end])])
        .collect()
}

struct Rtp<'a> {
    connection: &'a mut TcpStream,
    sequence: u16,
    time: u32,
}

impl Rtp<'_> {
    fn send(&mut self, payload: &[&[u8]], marker: bool) {
        let payload = payload.concat();
        let mut packet = vec![b'$', 0];
        packet.extend((payload.len() as u16 + 12).to_be_bytes());
        packet.extend([0x80, (u8::from(marker) << 7) | 96]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.time.to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend(payload);
        self.connection.write_all(&packet).unwrap();
        self.sequence += 1;
    }
}
