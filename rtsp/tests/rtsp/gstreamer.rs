//! Against GStreamer's RTSP server: whole clips, every way to authenticate, RTSPS.

use std::io::Read as _;
use std::time::SystemTime;

use kinora_rtsp::{
    AuthPolicy, CancelToken, Client, ClockSource, Codec, ErrorKind, TransportReader, Trust, describe,
};

use super::support::*;

/// What everybody gets wrong in an address, and a name that is not ASCII.
const ODD_USER: (&str, &str) = ("J\u{e4}s\u{f8}n @/#?", "p@ss:w/o%r#d ?\u{20ac}&=");

#[test]
fn a_whole_clip_arrives_frame_by_frame() {
    let camera = Camera::start(&launch(h264(), PLAIN), &[]);
    let mut client = open(&camera.address(), &options(AuthPolicy::Auto, None)).unwrap();
    assert_eq!(client.codec(), Codec::H264);
    let units = units(&mut client, FRAMES);
    assert!(units[0].is_key && units[0].data.starts_with(&[0, 0, 0, 1, 0x67]), "parameter sets come first");
    assert_eq!(units.iter().filter(|unit| unit.is_key).count(), 3);
    assert!(units.iter().all(|unit| unit.lost_packets == 0 && !unit.is_corrupt && !unit.after_loss));
    let mut times: Vec<_> = units.iter().map(|unit| unit.stamp.timestamp).collect();
    times.sort_unstable();
    assert!(times.windows(2).all(|pair| (2_999..=3_001).contains(&(pair[1] - pair[0]))), "{times:?}");
    assert!(units.iter().all(|unit| unit.stamp.epoch == 0));
    assert_eq!(client.next().unwrap(), None, "the clip has {FRAMES} frames and then ends");
    assert_eq!(client.counts().lost, 0);
}

#[test]
fn sender_reports_give_the_servers_own_clock() {
    let launch = "( videotestsrc is-live=true ! video/x-raw,width=160,height=90,framerate=10/1 ! x264enc \
                  tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96 )";
    let camera = Camera::start(launch, &[]);
    let mut client = open(&camera.address(), &options(AuthPolicy::Auto, None)).unwrap();
    // The first report comes after a random time of at most a few seconds.
    let reported = (0..200)
        .map(|_| units(&mut client, 1).remove(0))
        .find(|unit| unit.stamp.capture.source == ClockSource::Rtcp)
        .expect("a report should come within 20 s");
    assert!(client.counts().reports > 0 && reported.stamp.epoch == 0);
    let host_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as i64;
    let age_us = host_us - reported.stamp.capture.unix_us;
    // Both use this machine's clock. Loose, since machines that test are busy.
    assert!((-1_000_000..10_000_000).contains(&age_us), "{age_us}");
}

#[test]
fn h265_arrives_whole() {
    let codec = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=30 -tag:v hvc1";
    let clip = clip("h265.mp4", codec);
    let camera = Camera::start(&launch(&clip, "qtdemux ! h265parse config-interval=-1 ! rtph265pay"), &[]);
    let mut client = open(&camera.address(), &options(AuthPolicy::Auto, None)).unwrap();
    assert_eq!(client.codec(), Codec::H265);
    let units = units(&mut client, FRAMES);
    assert!(units[0].is_key && units.iter().all(|unit| !unit.is_corrupt));
    assert_eq!(client.next().unwrap(), None);
}

#[test]
fn a_transport_stream_arrives_as_its_packets() {
    let clip = clip("clip.ts", "-c:v libx264 -preset veryfast -g 30 -pix_fmt yuv420p -f mpegts");
    let elements = "tsparse set-timestamps=true ! rtpmp2tpay";
    let camera = Camera::start(&launch(&clip, elements).replace(" pt=96", ""), &[]);
    let mut client = open(&camera.address(), &options(AuthPolicy::Auto, None)).unwrap();
    assert_eq!((client.codec(), client.track().payload_type), (Codec::MpegTs, 33));
    let first = units(&mut client, 1).remove(0).data;
    assert_eq!((first.len() % 188, first[0]), (0, 0x47));
    let mut reader = TransportReader::new(client).unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!([first, rest].concat() == std::fs::read(&clip).unwrap());
    let status = reader.status();
    assert_eq!((status.error(), status.lost_packets()), (None, 0));
    assert!(status.received_at().is_some());
}

#[test]
fn the_right_password_opens_by_every_policy_that_the_server_allows() {
    use AuthPolicy::{Auto, Basic, Digest};
    for (offered, policies) in [("basic", [Auto, Basic]), ("digest", [Auto, Digest])] {
        for user in [("viewer", "secret"), ODD_USER] {
            let arguments = ["--auth", offered, "--user", user.0, "--password", user.1];
            let camera = Camera::start(&launch(h264(), PLAIN), &arguments);
            for policy in policies {
                let mut client = open(&camera.address(), &options(policy, Some(user)))
                    .unwrap_or_else(|error| panic!("{offered} {policy:?} {user:?}: {error}"));
                assert_eq!(units(&mut client, 3).len(), 3);
            }
        }
    }
}

#[test]
fn credentials_may_be_in_the_address() {
    let camera = Camera::start(
        &launch(h264(), PLAIN),
        &["--auth", "digest", "--user", ODD_USER.0, "--password", ODD_USER.1],
    );
    let user = "J%C3%A4s%C3%B8n%20%40%2F%23%3F:p@ss%3Aw%2Fo%25r%23d%20%3F%E2%82%AC&=@";
    let address = kinora_rtsp::Address::parse(&camera.text("rtsp", user, "/camera")).unwrap();
    units(&mut open(&address, &options(AuthPolicy::Auto, None)).unwrap(), 1);
}

#[test]
fn refusals_say_what_is_wrong_and_no_secret() {
    for (offered, policy, other) in
        [("basic", AuthPolicy::Basic, AuthPolicy::Digest), ("digest", AuthPolicy::Digest, AuthPolicy::Basic)]
    {
        let camera = Camera::start(&launch(h264(), PLAIN), &["--auth", offered]);
        let refused = |policy, user| {
            let error = error(open(&camera.address(), &options(policy, user)));
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
            assert!(!error.to_string().contains("wr0ng"), "{error}");
            error.to_string().to_lowercase()
        };
        for policy in [AuthPolicy::Auto, policy] {
            for user in [("viewer", "wr0ng-w0rd"), ("nobody", "wr0ng-w0rd")] {
                assert!(refused(policy, Some(user)).contains("refused the user name or the password"));
            }
        }
        assert!(refused(other, Some(("viewer", "secret"))).contains(&format!("it offers {offered}")));
        let none = refused(AuthPolicy::Auto, None);
        assert!(none.contains(offered) && none.contains("none is given"), "{none}");
    }
}

#[test]
fn a_wrong_path_is_not_found() {
    let camera = Camera::start(&launch(h264(), PLAIN), &[]);
    let address = kinora_rtsp::Address::parse(&camera.text("rtsp", "", "/nothing")).unwrap();
    let error = error(open(&address, &options(AuthPolicy::Auto, None)));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/nothing"), "{error}");
}

#[test]
fn rtsps_trusts_whom_it_is_told_to() {
    let (both, certificate) = certificate("camera");
    let arguments = ["--tls", both.to_str().unwrap(), "--auth", "digest"];
    let camera = Camera::start(&launch(h264(), PLAIN), &arguments);
    let address = kinora_rtsp::Address::parse(&camera.text("rtsps", "", "/camera")).unwrap();
    let opened = |trust| {
        let options = options(AuthPolicy::Digest, Some(("viewer", "secret")));
        open(&address, &kinora_rtsp::Options { trust, ..options })
    };
    for trust in [Trust::File(certificate), Trust::Anybody] {
        let mut client = opened(trust).unwrap();
        assert_eq!(units(&mut client, FRAMES).len(), FRAMES);
    }
    let (_, foreign) = super::support::certificate("somebody-else");
    let error = error(opened(Trust::File(foreign)));
    assert!(error.to_string().contains("certificate is not trusted"), "{error}");
}

#[test]
fn plain_rtsp_to_an_encrypted_port_and_back_fail_soon() {
    let (both, _) = certificate("mixed-up");
    let tls = Camera::start(&launch(h264(), PLAIN), &["--tls", both.to_str().unwrap()]);
    let plain = Camera::start(&launch(h264(), PLAIN), &[]);
    for text in [tls.text("rtsp", "", "/camera"), plain.text("rtsps", "", "/camera")] {
        let address = kinora_rtsp::Address::parse(&text).unwrap();
        let options = kinora_rtsp::Options { trust: Trust::Anybody, ..options(AuthPolicy::Auto, None) };
        let error = error(open(&address, &options));
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Protocol), "{error}");
    }
}

#[test]
fn the_description_tells_tracks_and_authentication() {
    let camera = Camera::start(&launch(h264(), PLAIN), &["--auth", "digest"]);
    let described =
        |user| describe(&camera.address(), &options(AuthPolicy::Auto, user), &CancelToken::default());
    let description = described(Some(("viewer", "secret"))).unwrap();
    assert_eq!((description.tracks.len(), description.chosen), (1, Some(0)));
    assert!(description.server.is_some_and(|server| server.contains("GStreamer")));
    assert!(description.authentication.iter().all(|offer| offer.starts_with("Digest")));
    assert!(!description.authentication.is_empty() && description.round_trip.is_some());
}

#[test]
fn a_cancelled_client_stops_waiting() {
    let launch = "( videotestsrc is-live=true ! video/x-raw,width=160,height=90,framerate=1/2 ! x264enc ! rtph264pay \
                  name=pay0 pt=96 )";
    let camera = Camera::start(launch, &[]);
    let cancel = CancelToken::default();
    let waiting = {
        let (address, cancel) = (camera.address(), cancel.clone());
        std::thread::spawn(move || {
            let mut client = Client::open(&address, &options(AuthPolicy::Auto, None), &cancel)?;
            while client.next()?.is_some() {}
            Ok(())
        })
    };
    cancel.cancel();
    let error: kinora_rtsp::Error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
