//! Against a scripted camera: each fault that cameras are known for, redirects, signs of life, ends.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kinora_rtsp::{AuthPolicy, CancelToken, ErrorKind, Options, Reach, describe};

use super::script::*;
use super::support::{error, open, options, units};

fn anyone() -> Options {
    options(AuthPolicy::Auto, None)
}

/// Plays to the end; gives the data of all units.
fn play(script: &Script) -> Vec<Vec<u8>> {
    let mut client = open(&script.address(), &anyone()).unwrap_or_else(|error| panic!("{error}"));
    let mut received = Vec::new();
    while let Some(unit) = client.next().unwrap() {
        assert!(!unit.is_corrupt && !unit.after_loss, "{unit:?}");
        received.push(unit.data);
    }
    received
}

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
}

fn three_pictures() -> Vec<Vec<u8>> {
    vec![annex_b(&[SPS, PPS, KEY]), annex_b(&[DELTA]), annex_b(&[DELTA])]
}

#[test]
fn a_good_camera_is_played_and_only_its_video_is_set_up() {
    let script = Script::start(|request| with_media(request, good(request), &media()));
    assert_eq!(play(&script), three_pictures());
    let methods: Vec<_> = script.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]);
    let requests = script.requests();
    assert!(requests[2].uri.ends_with("/camera/trackID=1") && requests[3].uri.ends_with("/camera/"));
    assert_eq!(requests[3].header("Session"), Some("12345678"));
    assert!(requests.iter().all(|request| request.header("Authorization").is_none()));
}

#[test]
fn careless_heads_are_understood() {
    type Fault = fn(&str, &Request) -> String;
    let faults: [(&str, Fault); 13] = [
        ("lines end with LF", |head, _| head.replace("\r\n", "\n")),
        ("blanks before line ends", |head, _| head.replace("\r\n", " \r\n")),
        ("no CSeq", |head, _| head.replace("CSeq: ", "X: ")),
        ("a CSeq of its own", |head, _| head.replace("CSeq: ", "CSeq: 77")),
        ("no reason", |head, _| head.replace("200 OK", "200")),
        ("names in lower case", |head, _| {
            head.replace("Content-L", "content-l").replace("Session", "session")
        }),
        ("no Content-Base", |head, _| head.replace("Content-Base", "X-Base")),
        ("a base on another host", |head, request| {
            head.replace(&format!("{}/", request.base), "rtsp://10.0.0.1/camera/")
        }),
        ("a base that is none", |head, request| head.replace(&format!("{}/", request.base), "/")),
        ("a base without a slash", |head, request| {
            head.replace(&format!("{}/\r", request.base), &format!("{}\r", request.base))
        }),
        ("an odd session", |head, _| head.replace("12345678;timeout=60", " 12345678 ; Timeout = 60 s; x")),
        ("no session", |head, _| head.replace("Session", "X-Session")),
        ("no transport", |head, _| head.replace("Transport", "X-Transport")),
    ];
    for (name, fault) in faults {
        let script = Script::start(move |request| {
            with_media(request, edit_head(&good(request), |head| fault(head, request)), &media())
        });
        assert_eq!(play(&script), three_pictures(), "{name}");
    }
}

#[test]
fn careless_descriptions_are_understood() {
    for description in [
        SDP.replace("\r\n", "\n"),
        SDP.replace("\r\n", " \r\n"),
        SDP.replace("o=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\n", "o=-\r\ns=\r\n").replace("t=0 0", "b=AS:5.5"),
        format!("{SDP}\r\n\0"),
    ] {
        let script =
            Script::start(move |request| with_media(request, good_with(request, &description), &media()));
        assert_eq!(play(&script), three_pictures());
    }
}

#[test]
fn absolute_control_attributes_are_used_as_they_are() {
    let script = Script::start(|request| {
        let absolute = format!("a=control:{}/trackID=1", request.base);
        let body =
            SDP.replace("a=control:trackID=1", &absolute).replace("a=control:*", "a=control:rtsp://x/all");
        match &*request.method {
            "DESCRIBE" => answer(request, "200 OK", "Content-Base: rtsp://elsewhere/\r\n", &body).into(),
            _ => with_media(request, good(request), &media()),
        }
    });
    assert_eq!(play(&script), three_pictures());
    assert_eq!(script.requests()[3].uri, "rtsp://x/all");
}

#[test]
fn parameter_sets_are_taken_from_the_stream_when_the_description_has_none() {
    let script = Script::start(|request| {
        let reply =
            good_with(request, &SDP.replace("sprop-parameter-sets=Z0IAHg==,aM48", "profile-level-id=42001e"));
        let mut packets = media();
        packets.splice(
            0..1,
            [packet(0, 9_000, false, SPS), packet(1, 9_000, false, PPS), packet(2, 9_000, true, KEY)],
        );
        packets.splice(3..5, [packet(3, 12_000, true, DELTA), packet(4, 15_000, true, DELTA)]);
        with_media(request, reply, &packets)
    });
    assert_eq!(play(&script), three_pictures());
}

#[test]
fn packets_before_and_inside_answers_are_kept() {
    let script = Script::start(|request| {
        let (mut packets, reply) = (media(), good(request));
        if request.method != "PLAY" {
            return reply.into();
        }
        let after = packets.split_off(1);
        Reply::Bytes([packets.concat(), reply.into_bytes(), after.concat()].concat())
    });
    assert_eq!(play(&script), three_pictures());
}

#[test]
fn options_without_an_answer_or_with_a_hang_up_are_done_without() {
    for hangs_up in [false, true] {
        let script = Script::start(move |request| match (&*request.method, hangs_up) {
            ("OPTIONS", false) => Reply::Silence,
            ("OPTIONS", true) => Reply::HangUp,
            _ => with_media(request, good(request), &media()),
        });
        assert_eq!(play(&script), three_pictures());
    }
}

#[test]
fn equal_timestamps_and_forgotten_markers_still_give_each_picture() {
    let packets =
        [(1, KEY), (2, DELTA), (3, DELTA)].map(|(sequence, nal)| packet(sequence, 9_000, false, nal));
    let packets = [packets.to_vec(), media().split_off(3)].concat();
    let script = Script::start(move |request| with_media(request, good(request), &packets));
    assert_eq!(play(&script), three_pictures());
}

#[test]
fn jumping_timestamps_open_an_epoch_and_a_wrap_does_not() {
    let times = [u32::MAX - 1_000, 2_000, 5_000, 900_000_000, 900_003_000];
    let mut packets: Vec<_> =
        (0..5).map(|i| packet(i, times[usize::from(i)], true, if i == 0 { KEY } else { DELTA })).collect();
    packets.extend(media().split_off(3));
    let script = Script::start(move |request| with_media(request, good(request), &packets));
    let mut client = open(&script.address(), &anyone()).unwrap();
    let stamps: Vec<_> =
        units(&mut client, 5).iter().map(|unit| (unit.stamp.epoch, unit.stamp.media_us)).collect();
    assert_eq!(stamps, [(0, 0), (0, 33_344), (0, 66_677), (1, 0), (1, 33_333)]);
}

#[test]
fn lost_packets_are_counted_and_flagged() {
    let mut packets = media();
    packets[1] = packet(5, 12_000, true, DELTA);
    packets[2] = packet(6, 15_000, true, KEY);
    let script = Script::start(move |request| with_media(request, good(request), &packets));
    let mut client = open(&script.address(), &anyone()).unwrap();
    let flags: Vec<_> =
        units(&mut client, 3).iter().map(|unit| (unit.lost_packets, unit.after_loss)).collect();
    assert_eq!(flags, [(0, false), (3, true), (0, false)]);
    assert_eq!(client.counts().lost, 3);
}

#[test]
fn redirects_are_followed_and_other_hosts_get_no_credentials() {
    let user = "viewer:hunter2@";
    for (host, is_known) in [("127.0.0.1", true), ("localhost", false)] {
        let target = Script::start(|request| match request.header("Authorization") {
            Some(_) => with_media(request, good(request), &media()),
            None => answer(request, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "").into(),
        });
        let location = format!("Location: {}\r\n", target.address_of(host, ""));
        let first = Script::start(move |request| match &*request.method {
            "DESCRIBE" => answer(request, "302 Moved Temporarily", &location, "").into(),
            _ => good(request).into(),
        });
        let opened = open(&first.address_of("127.0.0.1", user), &anyone());
        assert_eq!(opened.is_ok(), is_known, "{host}");
        assert_eq!(target.transcript().contains("Authorization"), is_known, "{host}");
        if let Err(error) = opened {
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
        }
    }
}

#[test]
fn a_redirect_leads_to_no_host_that_is_out_of_reach() {
    let forbidden = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let target = Script::start(|request| with_media(request, good(request), &media()));
    let location = format!("Location: {}\r\n", target.address_of("127.0.0.2", ""));
    let first = Script::start(move |request| match &*request.method {
        "DESCRIBE" => answer(request, "302 Moved Temporarily", &location, "").into(),
        _ => good(request).into(),
    });
    units(&mut open(&first.address(), &anyone()).unwrap(), 1);
    let asked = target.requests().len();
    let careful = Options { reach: Reach::only(move |host| host != forbidden), ..anyone() };
    let error = error(open(&first.address(), &careful));
    assert_eq!(error.kind(), ErrorKind::OutOfReach);
    assert!(error.to_string().contains("127.0.0.2"), "{error}");
    // The viewer that was let through may have said good-bye meanwhile, and nobody else came.
    let methods: Vec<_> =
        target.requests().split_off(asked).into_iter().map(|request| request.method).collect();
    assert!(methods.iter().all(|method| method == "TEARDOWN"), "{methods:?}");
}

#[test]
fn a_name_is_judged_by_the_number_that_it_stands_for() {
    let script = Script::start(|request| good(request).into());
    let careful = Options { reach: Reach::only(|host| !host.is_loopback()), ..anyone() };
    for host in ["localhost", "127.0.0.1", "127.1"] {
        let error = error(open(&script.address_of(host, ""), &careful));
        assert_eq!(error.kind(), ErrorKind::OutOfReach, "{host}: {error}");
    }
    assert!(script.requests().is_empty());
}

#[test]
fn a_circle_of_redirects_ends() {
    let script = Script::start(|request| {
        let location = format!("Location: {}\r\n", request.base);
        answer(request, "301 Moved Permanently", &location, "").into()
    });
    let error = error(open(&script.address(), &anyone()));
    assert!(error.kind() == ErrorKind::Protocol && error.to_string().contains("redirected"), "{error}");
}

#[test]
fn signs_of_life_are_given_as_the_server_wants_them() {
    for (public, refuses, expected) in [
        ("GET_PARAMETER", false, "GET_PARAMETER"),
        ("PLAY", false, "OPTIONS"),
        ("GET_PARAMETER", true, "OPTIONS"),
    ] {
        let script = Script::start(move |request| {
            let reply = good(request).replace("timeout=60", "timeout=1").replace("GET_PARAMETER", public);
            if refuses && request.method == "GET_PARAMETER" {
                return answer(request, "405 Method Not Allowed", "", "").into();
            }
            with_media(request, reply, &media()[..1])
        });
        let mut client = open(&script.address(), &anyone()).unwrap();
        units(&mut client, 1);
        let cancel = std::thread::spawn(move || drop(client.next()));
        let alive =
            script.wait_for(|request| request.method == expected && request.header("Session").is_some());
        assert_eq!(alive.header("Session"), Some("12345678"), "{public} {refuses}");
        drop(cancel);
    }
}

#[test]
fn leaving_ends_the_session() {
    let script = Script::start(|request| with_media(request, good(request), &media()[..1]));
    let mut client = open(&script.address(), &anyone()).unwrap();
    units(&mut client, 1);
    drop(client);
    let farewell = script.wait_for(|request| request.method == "TEARDOWN");
    assert_eq!(farewell.header("Session"), Some("12345678"));
}

#[test]
fn faults_have_their_kind_and_a_hint() {
    type Fault = fn(&Request) -> String;
    let faults: [(ErrorKind, &str, Fault); 7] = [
        (ErrorKind::NotFound, "path", |request| answer(request, "404 Not Found", "", "")),
        (ErrorKind::Unavailable, "busy", |request| answer(request, "503 Busy busy", "", "")),
        (ErrorKind::Unsupported, "TCP", |request| match &*request.method {
            "SETUP" => answer(request, "461 Unsupported Transport", "", ""),
            _ => good(request),
        }),
        (ErrorKind::Unsupported, "UDP", |request| {
            good(request).replace("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;server_port=1-2")
        }),
        (ErrorKind::Unsupported, "JPEG", |request| good_with(request, &SDP.replace("H264", "JPEG"))),
        (ErrorKind::Protocol, "port", |_| "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()),
        (ErrorKind::Protocol, "body", |request| {
            good(request).replace("Content-Length: ", "Content-Length: 99999")
        }),
    ];
    for (kind, hint, fault) in faults {
        let script = Script::start(move |request| match &*request.method {
            "OPTIONS" if kind != ErrorKind::Protocol => good(request).into(),
            _ => fault(request).into(),
        });
        let error = error(open(&script.address(), &anyone()));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(hint) && error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[test]
fn a_camera_that_hangs_up_or_falls_silent_is_unavailable() {
    let hangs_up = Script::start(|request| match &*request.method {
        "PLAY" => Reply::Live([good(request).into_bytes(), media()[0].clone()].concat(), Box::new(drop)),
        _ => good(request).into(),
    });
    let mut client = open(&hangs_up.address(), &anyone()).unwrap();
    units(&mut client, 1);
    let error = client.next().unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("hung up"), "{error}");

    let silent = Script::start(|request| with_media(request, good(request), &media()[..1]));
    let brief = Options { silence_timeout: Duration::from_millis(200), ..anyone() };
    let mut client = open(&silent.address(), &brief).unwrap();
    units(&mut client, 1);
    let error = client.next().unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("H264"), "{error}");
}

/// Sends packets that are numbered, one in a few milliseconds; leaves when the client does, or when it should have.
fn without_end(packet: impl Fn(u16) -> Vec<u8> + Send + 'static) -> Box<dyn FnOnce(TcpStream) + Send> {
    Box::new(move |mut socket| {
        let until = Instant::now() + Duration::from_secs(20);
        let mut sequence = 0;
        while Instant::now() < until && socket.write_all(&packet(sequence)).is_ok() {
            sequence = sequence.wrapping_add(1);
            std::thread::park_timeout(Duration::from_millis(5));
        }
    })
}

#[test]
fn packets_without_a_picture_are_silence_however_many_come() {
    type Packets = fn(u16) -> Vec<u8>;
    let nothings: [(&str, &str, Packets); 5] = [
        ("reports", "H264", |_| interleaved(1, &[0x80, 201, 0, 1, 0, 0, 0, 7])),
        ("another payload type", "H264", |sequence| {
            let mut packet = packet(sequence, 9_000, true, KEY);
            packet[5] = 0x80 | 97;
            packet
        }),
        ("parameter sets", "H264", |sequence| packet(sequence, 3_000 * u32::from(sequence), true, SPS)),
        ("a picture without an end", "H264", |sequence| packet(sequence, 9_000, false, &[28, 0x05, 1])),
        ("no sync byte", "MP2T", |sequence| packet(sequence, 9_000, true, &[0x46; 188])),
    ];
    for (name, encoding, packets) in nothings {
        let script = Script::start(move |request| match &*request.method {
            "PLAY" => Reply::Live(good(request).into_bytes(), without_end(packets)),
            _ => good_with(request, &SDP.replace("H264/90000", &format!("{encoding}/90000"))).into(),
        });
        let brief = Options { silence_timeout: Duration::from_millis(200), ..anyone() };
        let mut client = open(&script.address(), &brief).unwrap();
        let error = client.next().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}: {error}");
        assert!(error.to_string().contains("for 0.2 s"), "{name}: {error}");
    }
}

#[test]
fn what_a_server_says_is_repeated_without_control_characters() {
    let script = Script::start(|request| match &*request.method {
        "SETUP" => answer(request, "404 Not\0Found\x07", "", "").into(),
        _ => good_with(request, &SDP.replace("a=control:trackID=0", "a=rtpmap:8 PC\x01MA/8000"))
            .replace("Content-Type:", "Server: scr\0ipt\x1b\r\nContent-Type:")
            .into(),
    });
    let error = error(open(&script.address(), &anyone())).to_string();
    assert!(error.contains("404 Not\u{fffd}Found\u{fffd}"), "{error:?}");
    let described = describe(&script.address(), &anyone(), &CancelToken::default()).unwrap();
    assert_eq!(described.server.as_deref(), Some("scr\u{fffd}ipt\u{fffd}"));
    assert_eq!(described.tracks[0].encoding, "PC\u{fffd}MA");
}

#[test]
fn a_closed_port_and_an_unknown_host_are_unavailable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for host in [format!("127.0.0.1:{port}"), "no-such-host.invalid".to_owned()] {
        let address = kinora_rtsp::Address::parse(&format!("rtsp://u:hunter2@{host}/x")).unwrap();
        let error = error(open(&address, &anyone()));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(&host) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_server_that_never_answers_is_left_when_cancelled() {
    let script = Script::start(|_| Reply::Silence);
    let (cancel, address) = (CancelToken::default(), script.address());
    let waiting = {
        let cancel = cancel.clone();
        std::thread::spawn(move || describe(&address, &options(AuthPolicy::Auto, None), &cancel))
    };
    script.wait_for(|request| request.method == "OPTIONS");
    let asked = Instant::now();
    cancel.cancel();
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(asked.elapsed() < anyone().request_timeout);
}

#[test]
fn questions_of_the_server_are_declined() {
    let declined = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&declined);
    let script = Script::start(move |request| {
        if request.method.starts_with("RTSP/") {
            count.fetch_add(1, Ordering::SeqCst);
            return Reply::Silence;
        }
        let question = format!("OPTIONS {} RTSP/1.0\r\nCSeq: 900\r\n\r\n", request.base);
        with_media(request, question + &good(request), &media())
    });
    assert_eq!(play(&script), three_pictures());
    script.wait_for(|request| request.method == "RTSP/1.0" && request.header("CSeq") == Some("900"));
    assert!(declined.load(Ordering::SeqCst) > 0);
}
