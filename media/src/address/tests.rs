//! What addresses mean, and that none shows a secret.

use super::*;

fn parsed(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[test]
fn paths_and_file_addresses_are_files() {
    for (text, path) in [
        ("clip.mp4", "clip.mp4"),
        ("/a/b c.mp4", "/a/b c.mp4"),
        ("./a:b.mp4", "./a:b.mp4"),
        ("take.1:2.mp4", "take.1:2.mp4"),
        ("file:a:b.mp4", "a:b.mp4"),
        ("file:/a.mp4", "/a.mp4"),
        ("file:///a.mp4", "/a.mp4"),
        ("file://localhost/a.mp4", "/a.mp4"),
    ] {
        let address = parsed(text);
        assert_eq!(address.path(), Some(path), "{text}");
        assert_eq!(address.target(), format!("file:{path}"));
        assert!(!address.is_live());
    }
}

#[test]
fn network_addresses_know_their_host_and_port() {
    for (text, host, port) in [
        ("http://u:p@cam:8554/1", "cam", 8554),
        ("srt://cam:9000?mode=caller", "cam", 9000),
        ("http://cam?x=1", "cam", 80),
        ("https://[::1]/x", "::1", 443),
        ("tcp://[::1]:5000", "::1", 5000),
    ] {
        assert_eq!(parsed(text).remote(), Some((host, port)), "{text}");
    }
    assert_eq!(parsed("udp://@239.0.0.1:1234?fifo_size=1").remote(), None);
    assert_eq!(parsed("udp://:1234").scheme(), Scheme::Udp);
}

#[test]
fn an_unknown_scheme_is_named_with_what_is_allowed() {
    for text in
        ["ftp://host/a.mp4", "gopher://x", "concat:a.ts|b.ts", "pipe:0", "rtp://1.2.3.4:5", "http://cam/1"]
    {
        let error = Address::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownScheme, "{text}");
        let scheme = text.split(':').next().unwrap();
        assert!(error.to_string().contains(&format!("`{scheme}:`")), "{error}");
        assert!(error.to_string().contains("rtsp://"), "{error}");
    }
}

#[test]
fn malformed_addresses_are_refused_without_repeating_secrets() {
    for text in [
        "",
        "a\0b",
        "http:cam/1",
        "http:///1",
        "srt://cam",
        "udp://127.0.0.1",
        "tcp://host",
        "file://",
        "file://other/a",
    ] {
        assert_eq!(Address::parse(text).unwrap_err().kind(), ErrorKind::BadAddress, "{text}");
    }
    for text in ["http://admin:hunter2/x@cam/1", "tcp://u:hunter2@host:99999", "http://u:hunter2@"] {
        let error = Address::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadAddress);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn devices_are_below_dev_or_one_test_source() {
    assert_eq!(parsed("device:/dev/video0").scheme(), Scheme::Device);
    assert!(parsed("device:lavfi:testsrc2=size=64x64").is_live());
    assert_eq!(parsed("device:lavfi:testsrc2?size=64x48&rate=15").target(), "testsrc2=size=64x48:rate=15");
    assert_eq!(parsed("device:lavfi:color=c=red?rate=15").target(), "color=c=red:rate=15");
    assert_eq!(parsed("device:/dev/video0?size=640x480&rate=30").target(), "/dev/video0");
    for text in [
        "device:/etc/passwd",
        "device:/dev/../etc/passwd",
        "device:lavfi:movie=/etc/passwd",
        "device:lavfi:color=c=red,movie=x",
        "device:",
        "device:/dev/video0?size=1280",
        "device:/dev/video0?size=0x720",
        "device:/dev/video0?size=+1x2",
        "device:/dev/video0?rate=0",
        "device:/dev/video0?rate=30/0",
        "device:/dev/video0?format=a,b",
        "device:/dev/video0?colour=red",
        "device:lavfi:testsrc2?format=mjpeg",
    ] {
        assert_eq!(Address::parse(text).unwrap_err().kind(), ErrorKind::BadAddress, "{text}");
    }
}

#[test]
fn no_secret_is_shown() {
    for (text, shown) in [
        ("http://admin:s3cret@cam:554/h264", "http://***@cam:554/h264"),
        ("http://a:s3@cret@cam/x", "http://***@cam/x"),
        ("http://cam/v?user=a&password=s3cret&ch=1", "http://cam/v?user=***&password=***&ch=***"),
        ("http://cam/user=a&password=s3cret&channel=1.sdp", "http://cam/user=***&password=***&channel=1.sdp"),
        ("https://cam/live.ts?access_token=s3cret/1", "https://cam/live.ts?access_token=***"),
        ("http://a:1/s3cret@cam/x", "http://***@cam/x"),
    ] {
        let address = parsed(text);
        assert_eq!(address.to_string(), shown);
        assert!(!format!("{address:?}").contains("s3"), "{address:?}");
        assert_eq!(address.clean(&format!("[http] {text} failed")), format!("[http] {shown} failed"));
    }
}

#[test]
fn user_information_is_hidden_by_position_and_queries_whatever_their_names() {
    for (text, shown) in [
        ("http://user:se cret@127.0.0.1:1/x", "http://***@127.0.0.1:1/x"),
        ("http://us er:p\tw 'q'@cam/a b", "http://***@cam/a b"),
        ("http://cam/a.cgi?loginuse=admin&loginpas=hunter2", "http://cam/a.cgi?loginuse=***&loginpas=***"),
        ("http://cam/?usr=admin&pw=hunter2&access=tok", "http://cam/?usr=***&pw=***&access=***"),
        ("http://cam/?x=a b c&y", "http://cam/?x=***&***"),
        ("http://cam/?mail=a@b.c", "http://cam/?mail=***"),
        ("http://cam?pw=hun@ter2", "http://***"),
        ("http://cam/v#hunter2", "http://cam/v#***"),
        ("http://cam/password=se cret&channel=1", "http://cam/password=***&channel=1"),
        ("udp://@239.0.0.1:1234?fifo_size=1", "udp://@239.0.0.1:1234?fifo_size=***"),
        ("http://cam:554/plain", "http://cam:554/plain"),
        ("http://user:1?s3cret@cam/x", "http://***"),
        ("http://user:1#s3cret@cam/x?k=v", "http://***"),
    ] {
        assert_eq!(parsed(text).to_string(), shown);
    }
    let error = Address::parse("http:admin:hunter2@cam/x").unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn what_ffmpeg_makes_of_an_address_shows_no_part_that_is_hidden() {
    let address = parsed("http://ad min:se%20cret@cam:554/h264?tok=t0k&ch=1");
    for (line, shown) in [
        ("cannot reach http://cam:554/h264?tok=t0k&ch=1", "cannot reach http://cam:554/h264?tok=***&ch=***"),
        ("bad password se cret given", "bad password *** given"),
        ("user 'ad min' unknown", "user '***' unknown"),
        ("auth ad min:se%20cret", "auth ***"),
        ("moved to http://a:b@else/x?k=v, try it", "moved to http://***@else/x?k=*** try it"),
        ("method DESCRIBE failed: 401 Unauthorized", "method DESCRIBE failed: 401 Unauthorized"),
        // FFmpeg cuts its lines.
        ("cannot open http://ad min:se%2", "cannot open http://***@cam:554/h264?tok=***&ch=***"),
    ] {
        assert_eq!(address.clean(line), shown);
    }
}

#[test]
fn a_local_name_is_shown_once() {
    let device = parsed("device:/dev/video9");
    assert_eq!(device.clean("Cannot open /dev/video9: busy"), "Cannot open device:/dev/video9: busy");
    assert_eq!(parsed("a.mp4").clean("file:a.mp4: moov atom not found"), "a.mp4: moov atom not found");
    assert_eq!(parsed("device:lavfi:color").clean("no such color"), "no such color");
}
