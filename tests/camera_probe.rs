//! `kinora probe`: what is there, what would be done with it, and a plain word for each common fault.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::clips;
use crate::script::{DELTA, Reply, Request, SDP, Script, good, good_with, packet};
use crate::server_support::{Camera, h264_of};
use crate::support::{Run, Running, ffmpeg, kinora, scratch_file, text};

const PASSWORD: &str = r#"p@ss: w/ö"rd\%23#"#;

/// Runs `kinora probe --json` and gives what it printed with the run.
fn probe(source: &str, more: &[&str]) -> (Value, Run) {
    let run = kinora(&[&["probe", source, "--json"][..], more].concat());
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let report = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
    (report, run)
}

/// The same of a source that is well.
fn found(source: &str, more: &[&str]) -> Value {
    let (report, run) = probe(source, more);
    assert_eq!(run.code, 0, "{source}: {}", run.stderr);
    assert!(report["fault"].is_null(), "{report}");
    report
}

fn password_file(name: &str, password: &str) -> String {
    let file = scratch_file(name);
    fs::write(&file, password).unwrap();
    text(&file).to_owned()
}

#[test]
fn a_camera_is_told_with_its_tracks_its_login_and_its_clock() {
    let camera = Camera::start_with("digest", PASSWORD);
    let file = password_file("probe-password", PASSWORD);
    let access = ["--auth", "digest", "--username", "viewer", "--password-file", &file];
    let report = found(&camera.address(""), &[&access[..], &["--set", "analysis.every_nth=3"]].concat());
    assert_eq!(report["transport"], "RTP inside the RTSP connection (TCP)");
    assert!(report["server"].as_str().unwrap().contains("GStreamer"), "{report}");
    assert!(report["authentication"][0].as_str().unwrap().starts_with("Digest"), "{report}");
    let track = &report["tracks"][0];
    assert_eq!(
        (&track["kind"], &track["codec"], &track["chosen"]),
        (&"video".into(), &"H264".into(), &true.into())
    );
    assert!(track["profile"].as_str().unwrap().contains("level"), "{report}");
    let video = &report["video"];
    assert_eq!(
        (&video["codec"], &video["width"], &video["height"]),
        (&"h264".into(), &640.into(), &360.into())
    );
    let rate = video["frameRate"].as_f64().unwrap();
    assert!((rate - 30.0).abs() < 3.0, "{report}");
    assert!(["rtcp", "arrival"].contains(&video["clock"]["source"].as_str().unwrap()), "{report}");
    assert!(video["clock"]["uncertaintyMs"].is_u64(), "{report}");
    let plan = &report["plan"];
    assert_eq!(
        (&plan["track"], &plan["everyNth"], &plan["whenBusy"]),
        (&0.into(), &3.into(), &"dropped".into())
    );
    assert!((plan["analyzedPerSecond"].as_f64().unwrap() - rate / 3.0).abs() < 0.1, "{report}");
    assert!(!report.to_string().contains("p@ss"), "{report}");
}

#[test]
fn for_people_there_is_a_line_for_each_thing() {
    let run = kinora(&["probe", text(clips::short())]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    for line in [
        "source ",
        "transport  file, mov,mp4",
        "0: video h264 (High), chosen",
        "1: audio aac",
        "640x360, 30 frames a second",
        "clock ",
        "analyse each frame",
        "frames wait",
    ] {
        assert!(run.stdout.contains(line), "{line} in {}", run.stdout);
    }
}

#[test]
fn files_devices_and_datagrams_are_told_alike() {
    let file = found(text(clips::short_mpegts()), &[]);
    assert_eq!((&file["container"], &file["live"]), (&"mpegts".into(), &false.into()));
    assert_eq!(file["plan"]["whenBusy"], "wait");

    let device = found("device:lavfi:testsrc2?size=320x240&rate=15", &["--seconds", "1"]);
    assert_eq!((&device["video"]["width"], &device["video"]["frameRate"]), (&320.into(), &15.0.into()));
    assert_eq!((&device["live"], &device["video"]["clock"]["source"]), (&true.into(), &"arrival".into()));

    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let source = format!("udp://127.0.0.1:{port}");
    let _sender = sender(&source);
    let datagrams = found(&source, &["--seconds", "1"]);
    assert_eq!(
        (&datagrams["container"], &datagrams["transport"]),
        (&"mpegts".into(), &"datagrams (UDP)".into())
    );
}

/// An ffmpeg that sends the short clip again and again as a transport stream, at its own speed.
fn sender(target: &str) -> Running {
    let mut command = std::process::Command::new("ffmpeg");
    command.args("-v error -nostdin -re -stream_loop -1 -i".split(' ')).arg(clips::short());
    command.args("-an -c copy -f mpegts".split(' ')).arg(format!("{target}?pkt_size=1316"));
    Running::of(command.stdin(std::process::Stdio::null()).spawn().unwrap())
}

/// A camera whose pictures all refer to one that nobody saw.
fn without_key_frames() -> Script {
    let film = |mut socket: std::net::TcpStream| {
        for number in 0_u16.. {
            let bytes = packet(number, u32::from(number) * 3_600, true, DELTA);
            if socket.write_all(&bytes).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(40));
        }
    };
    Script::start(move |request| match &*request.method {
        "PLAY" => Reply::Live(good(request).into_bytes(), Box::new(film)),
        _ => good(request).into(),
    })
}

fn describing(edit: impl Fn(&str) -> String + Send + Sync + 'static) -> Script {
    Script::start(move |request: &Request| good_with(request, &edit(SDP)).into())
}

/// A source that cannot be used: how it is asked, the exit code, the word for programs, and words for people.
struct Fault<'a> {
    source: String,
    more: &'a [&'a str],
    told: (i32, &'a str),
    says: &'a [&'a str],
}

#[test]
fn each_common_fault_has_its_word_and_a_hint() {
    let guarded = Camera::start_with("digest", PASSWORD);
    let open = Camera::start("none");
    let wrong = password_file("probe-wrong-password", "wr0ng");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let jpeg = describing(|sdp| sdp.replace("H264/90000", "JPEG/90000"));
    let sound = describing(|sdp| sdp[..sdp.find("m=video").unwrap()].to_owned());
    let deltas = without_key_frames();
    let audio = scratch_file("probe-audio.mp4");
    ffmpeg(&["-i", text(clips::short()), "-vn", "-c", "copy", text(&audio)]);
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fault = |source: String, more, told, says| Fault { source, more, told, says };
    let password = ["--username", "viewer", "--password-file", &wrong];
    let brief = ["--wait", "1"];
    let faults = [
        fault(
            guarded.address(""),
            &password,
            (1, "unauthorized"),
            &["refused the user name or the password", "hint: check"],
        ),
        fault(
            guarded.address(""),
            &[],
            (1, "unauthorized"),
            &["none is given", "Digest", "hint: give --username"],
        ),
        fault(
            open.address("").replace("/camera", "/nothing"),
            &[],
            (1, "not_found"),
            &["/nothing", "404", "ONVIF"],
        ),
        fault(format!("rtsp://u:wr0ng@127.0.0.1:{closed}/x"), &[], (1, "unavailable"), &["refused", "port"]),
        fault(
            "rtsp://no-such-host.invalid/x".into(),
            &[],
            (1, "unavailable"),
            &["no-such-host.invalid", "name right"],
        ),
        fault(
            format!("rtsp://127.0.0.1:{silent_port}/x"),
            &brief,
            (1, "unavailable"),
            &["does not answer", "port"],
        ),
        fault(jpeg.address().to_string(), &[], (1, "unsupported"), &["JPEG", "H.264"]),
        fault(sound.address().to_string(), &[], (1, "unsupported"), &["audio PCMA", "no video"]),
        fault(deltas.address().to_string(), &brief, (1, "unavailable"), &["no key frame", "interval"]),
        fault(text(&audio).to_owned(), &[], (1, "unsupported"), &["no video", "aac"]),
        fault("no-such-clip.mp4".into(), &[], (1, "not_found"), &["there is no file"]),
        fault("device:/dev/video97".into(), &[], (1, "not_found"), &["/dev/video97", "hint: `ls"]),
        fault(
            format!("udp://127.0.0.1:{free}"),
            &brief,
            (1, "unavailable"),
            &["nothing came", "hint: does the sender"],
        ),
        fault(
            format!("rtsps://127.0.0.1:{silent_port}/x"),
            &["--trust", "/nonexistent.pem"],
            (64, "invalid"),
            &["/nonexistent.pem"],
        ),
    ];
    thread::scope(|scope| {
        for Fault { source, more, told, says } in faults {
            scope.spawn(move || {
                let (report, run) = probe(&source, more);
                assert_eq!(
                    (run.code, report["fault"]["code"].as_str()),
                    (told.0, Some(told.1)),
                    "{source}: {report} {}",
                    run.stderr
                );
                for word in says {
                    assert!(run.stderr.contains(word), "{source}: {word} in {}", run.stderr);
                }
                assert!(!run.stderr.contains("wr0ng") && !run.stdout.contains("wr0ng"), "{}", run.stderr);
            });
        }
    });
    drop(silent);
}

#[test]
fn what_was_learned_before_the_fault_is_told_beside_it() {
    let jpeg = describing(|sdp| sdp.replace("H264/90000", "JPEG/90000"));
    let (report, _) = probe(&jpeg.address().to_string(), &[]);
    let codecs: Vec<_> = report["tracks"].as_array().unwrap().iter().map(|track| &track["codec"]).collect();
    assert_eq!(codecs, ["PCMA", "JPEG"], "{report}");
    assert_eq!((&report["authentication"], &report["plan"]), (&Value::Array(Vec::new()), &Value::Null));
}

#[test]
fn options_that_would_do_nothing_are_refused_by_name() {
    for command in ["probe", "analyze"] {
        for (option, value) in [
            ("--auth", "digest"),
            ("--username", "viewer"),
            ("--password-file", "/etc/hostname"),
            ("--trust", "anybody"),
        ] {
            for source in [text(clips::short()), "udp://127.0.0.1:5000", "device:lavfi:testsrc2"] {
                let run = kinora(&[command, source, option, value]);
                assert_eq!((run.code, run.stdout.as_str()), (64, ""), "{command} {source} {option}");
                for word in [option, "rtsp:// and rtsps://"] {
                    assert!(run.stderr.contains(word), "{word} in {}", run.stderr);
                }
            }
        }
    }
    let run = kinora(&["probe", "gopher://host/clip"]);
    assert_eq!(run.code, 64);
    assert!(run.stderr.contains("gopher") && run.stderr.contains("srt://"), "{}", run.stderr);
}

#[test]
fn a_camera_that_says_good_bye_during_the_look_is_no_fault() {
    let camera = Camera::serving(&h264_of(clips::short()), &[]);
    let report = found(&camera.address(""), &[]);
    assert_eq!(report["authentication"], Value::Array(Vec::new()));
    assert!(report["video"]["frames"].as_u64().unwrap() > 0, "{report}");
}
