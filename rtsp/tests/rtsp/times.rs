//! Whether capture times are true: a scripted camera numbers its pictures and knows when each was taken.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use kinora_rtsp::{AccessUnit, AuthPolicy, ClockSource};

use super::script::*;
use super::support::{open, options, units};

/// Six seconds at 50 pictures a second: longer than arrival needs to learn the network.
const PICTURES: u16 = 300;
const STEP: Duration = Duration::from_millis(20);
/// Timestamps wrap after a second.
const FIRST: u32 = u32::MAX - 90_000;

type Taken = Arc<Mutex<Vec<i64>>>;

fn unix_us() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as i64
}

/// A picture that carries its number.
fn picture(number: u16) -> Vec<u8> {
    let kind = if number.is_multiple_of(50) { 0x65 } else { 0x41 };
    [&[kind, 0x88][..], &number.to_be_bytes(), &[0xff]].concat()
}

fn number(unit: &AccessUnit) -> usize {
    let at = unit.data.len() - 3;
    usize::from(u16::from_be_bytes([unit.data[at], unit.data[at + 1]]))
}

/// A sender report: `unix_us` is the moment of `timestamp`.
fn report(unix_us: i64, timestamp: u32) -> Vec<u8> {
    let (seconds, rest) = (unix_us / 1_000_000 + 2_208_988_800, (unix_us % 1_000_000) as u64);
    let ntp = ((seconds as u64) << 32) | ((rest << 32) / 1_000_000);
    let mut packet = vec![0x80, 200, 0, 6, 0, 0, 0, 7];
    packet.extend(ntp.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([0; 8]);
    interleaved(1, &packet)
}

/// Takes pictures in time, holds one in ten back a little, and writes down when each was taken.
fn film(mut socket: TcpStream, reports: bool, taken: &Taken) {
    let (began, began_us) = (Instant::now(), unix_us());
    for number in 0..PICTURES {
        let due = STEP * u32::from(number);
        let held = if number.is_multiple_of(10) { Duration::from_millis(12) } else { Duration::ZERO };
        thread::sleep((due + held).saturating_sub(began.elapsed()));
        let taken_us = began_us + due.as_micros() as i64;
        let timestamp = FIRST.wrapping_add(u32::from(number) * 1_800);
        taken.lock().unwrap().push(taken_us);
        let mut bytes = packet(number, timestamp, true, &picture(number));
        if reports && number.is_multiple_of(50) {
            bytes.extend(report(taken_us, timestamp));
        }
        socket.write_all(&bytes).unwrap();
    }
    // Until the client leaves.
    let _ = std::io::copy(&mut socket, &mut std::io::sink());
}

/// All pictures with the moment at which each was taken.
fn watch(reports: bool) -> Vec<(AccessUnit, i64)> {
    let taken = Taken::default();
    let record = Arc::clone(&taken);
    let script = Script::start(move |request| {
        let taken = Arc::clone(&record);
        match &*request.method {
            "PLAY" => {
                Reply::Live(good(request).into_bytes(), Box::new(move |socket| film(socket, reports, &taken)))
            }
            _ => good(request).into(),
        }
    });
    let mut client = open(&script.address(), &options(AuthPolicy::Auto, None)).unwrap();
    let units = units(&mut client, usize::from(PICTURES));
    let taken = taken.lock().unwrap();
    units.into_iter().map(|unit| (taken[number(&unit)], unit)).map(|(at, unit)| (unit, at)).collect()
}

fn error_us((unit, taken_us): &(AccessUnit, i64)) -> i64 {
    (unit.stamp.capture.unix_us - taken_us).abs()
}

#[test]
fn with_sender_reports_times_are_within_5_ms_over_a_wrap() {
    let pictures = watch(true);
    assert!(pictures.iter().all(|(unit, _)| unit.stamp.epoch == 0));
    let reported: Vec<_> =
        pictures.iter().filter(|(unit, _)| unit.stamp.capture.source == ClockSource::Rtcp).collect();
    assert!(reported.len() > usize::from(PICTURES) - 20, "{}", reported.len());
    let worst_us = reported.iter().map(|picture| error_us(picture)).max().unwrap();
    assert!(worst_us <= 5_000, "{worst_us} us");
}

#[test]
fn without_sender_reports_the_uncertainty_covers_99_of_100_times_over_a_wrap() {
    let pictures = watch(false);
    assert!(pictures.iter().all(|(unit, _)| unit.stamp.epoch == 0));
    assert!(pictures.iter().all(|(unit, _)| unit.stamp.capture.source == ClockSource::Arrival));
    let outside =
        pictures.iter().filter(|picture| error_us(picture) > picture.0.stamp.capture.uncertainty_us).count();
    assert!(outside * 100 <= pictures.len(), "{outside} of {}", pictures.len());
}
