//! The options that FFmpeg opens each kind of source with, each with its reason.

use crate::address::{Address, Capture, Scheme};
use crate::dict::Dict;
use crate::reach::Reach;

/// (demuxer, options) for `address`, which may lead as far as `reach`.
pub(super) fn of(address: &Address, reach: &Reach) -> (Option<&'static str>, Dict) {
    let mut dict = Dict::new();
    dict.set("protocol_whitelist", protocols(address.scheme()));
    // A file called `a%d.png` is that file, not a sequence.
    dict.set("pattern_type", "none");
    if address.is_live() {
        live(&mut dict);
    }
    match address.scheme() {
        Scheme::Udp => udp(&mut dict),
        Scheme::Device => device(&mut dict, address.capture()),
        Scheme::Http | Scheme::Https if reach.is_limited() => straight(&mut dict, address),
        _ => {}
    }
    (super::demuxer_of(address.scheme()), dict)
}

/// Options for bytes that somebody else receives, live.
pub(super) fn of_bytes() -> Dict {
    let mut dict = Dict::new();
    dict.set("protocol_whitelist", "none");
    live(&mut dict);
    dict
}

/// The protocols that a source needs, and no other: a playlist or a redirection cannot lead to a file or elsewhere.
fn protocols(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::File => "file",
        Scheme::Udp => "udp",
        Scheme::Tcp => "tcp",
        Scheme::Srt => "srt",
        Scheme::Http => "http,tcp",
        Scheme::Https => "https,tls,http,tcp",
        // Devices open their node themselves. FFmpeg takes an empty list for "all".
        Scheme::Device | Scheme::Synthetic | Scheme::Received => "none",
    }
}

/// Begin soon. `fflags=nobuffer` is left out on purpose: it throws away the packets that were read to find the streams,
/// the first key frame among them, and a camera's next one may be ten seconds away.
fn live(dict: &mut Dict) {
    // The frame rate is not worth waiting 20 frames for; timestamps tell the time.
    dict.set("fpsprobesize", "0");
    // Upper bounds; analysis ends as soon as all streams are known, that is with the first key frame.
    dict.set("analyzeduration", "3000000");
    dict.set("probesize", "5000000");
}

/// What is not chosen is left to the driver, which knows what the camera does well.
fn device(dict: &mut Dict, capture: &Capture) {
    let chosen = [
        ("video_size", &capture.size),
        ("framerate", &capture.rate),
        // A pixel format, or a codec that the camera compresses with: of two names the driver takes the one it knows.
        ("input_format", &capture.format),
    ];
    for (name, value) in chosen {
        if let Some(value) = value {
            dict.set(name, value);
        }
    }
}

/// What FFmpeg would do by itself after the host was judged, it does not: neither redirects nor proxies are judged.
fn straight(dict: &mut Dict, address: &Address) {
    dict.set("max_redirects", "0");
    // Not set it would be the environment's.
    dict.set("http_proxy", "");
    let host = address.host_header();
    match address.scheme() {
        // FFmpeg is given the number.
        Scheme::Http => dict.set("headers", &format!("Host: {host}\r\n")),
        // FFmpeg looks the name up again. Another host by that name cannot show its certificate.
        _ if address.has_name() => dict.set("tls_verify", "1"),
        _ => {}
    }
}

fn udp(dict: &mut Dict) {
    // The kernel's buffer absorbs a burst while this process is not scheduled (capped by net.core.rmem_max).
    dict.set("buffer_size", "4194304");
    // FFmpeg's own ring behind it, in packets of 188 bytes (about 25 MB): bounded, and when it is full the oldest
    // datagrams are lost and the stream goes on.
    dict.set("fifo_size", "131072");
    dict.set("overrun_nonfatal", "1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_asked_for_what_was_chosen_and_for_nothing_else() {
        let options = |text: &str| of(&Address::parse(text).unwrap(), &Reach::default());
        let names = ["video_size", "framerate", "input_format"];
        let (demuxer, dict) = options("device:/dev/video0?size=1280x720&rate=30000/1001&format=mjpeg");
        assert_eq!(demuxer, Some("video4linux2"));
        assert_eq!(
            names.map(|name| dict.get(name)),
            ["1280x720", "30000/1001", "mjpeg"].map(|v| Some(v.into()))
        );
        let (_, dict) = options("device:/dev/video0?rate=15");
        assert_eq!(names.map(|name| dict.get(name)), [None, Some("15".into()), None]);
    }

    #[test]
    fn each_source_has_its_own_protocol_and_no_other() {
        let protocols = |text: &str| {
            of(&Address::parse(text).unwrap(), &Reach::default()).1.get("protocol_whitelist").unwrap()
        };
        assert_eq!(protocols("srt://host:5000"), "srt");
        assert_eq!(protocols("udp://239.0.0.1:5000"), "udp");
        assert_eq!(protocols("device:/dev/video0"), "none");
        assert_eq!(protocols("https://host/a.ts"), "https,tls,http,tcp");
    }

    #[test]
    fn within_a_limited_reach_ffmpeg_follows_no_redirect_and_no_proxy_and_gets_the_number() {
        let names = ["max_redirects", "http_proxy", "headers", "tls_verify"];
        let options = |text: &str, reach: &Reach| {
            let address = Address::parse(text).unwrap().at("192.0.2.7".parse().unwrap());
            let (_, dict) = of(&address, reach);
            (address.target().to_owned(), names.map(|name| dict.get(name)))
        };
        let text = |texts: [Option<&str>; 4]| texts.map(|text| text.map(str::to_owned));
        let limited = Reach::only(|_| true);
        assert_eq!(
            options("http://user:p@ss@cam:8080/a.ts?t=1", &limited),
            (
                "http://user:p@ss@192.0.2.7:8080/a.ts?t=1".to_owned(),
                text([Some("0"), Some(""), Some("Host: cam:8080\r\n"), None])
            )
        );
        assert_eq!(
            options("https://cam/a.ts", &limited),
            ("https://cam/a.ts".to_owned(), text([Some("0"), Some(""), None, Some("1")]))
        );
        assert_eq!(options("https://192.0.2.9/a.ts", &limited).1, text([Some("0"), Some(""), None, None]));
        assert_eq!(options("https://cam/a.ts", &Reach::default()).1, text([None; 4]));
    }
}
