//! The options that FFmpeg opens each kind of source with, each with its reason.

use crate::address::{Address, Scheme};
use crate::dict::Dict;

/// (demuxer, options) for `address`.
pub(super) fn of(address: &Address, audio: bool) -> (Option<&'static str>, Dict) {
    let mut dict = Dict::new();
    dict.set("protocol_whitelist", protocols(address.scheme()));
    // A file called `a%d.png` is that file, not a sequence.
    dict.set("pattern_type", "none");
    if address.is_live() {
        live(&mut dict);
    }
    match address.scheme() {
        Scheme::Rtsp => rtsp(&mut dict, audio),
        Scheme::Udp => udp(&mut dict),
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
        Scheme::Rtsp => "rtsp,tcp",
        Scheme::Udp => "udp",
        Scheme::Tcp => "tcp",
        Scheme::Http => "http,tcp",
        Scheme::Https => "https,tls,http,tcp",
        // Devices open their node themselves. FFmpeg takes an empty list for "all".
        Scheme::Device | Scheme::Synthetic => "none",
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

fn rtsp(dict: &mut Dict, audio: bool) {
    // Media in the control connection: no lost datagrams, no ports to open.
    dict.set("rtsp_transport", "tcp");
    dict.set("allowed_media_types", if audio { "video+audio" } else { "video" });
}

fn udp(dict: &mut Dict) {
    // The kernel's buffer absorbs a burst while this process is not scheduled (capped by net.core.rmem_max).
    dict.set("buffer_size", "4194304");
    // FFmpeg's own ring behind it, in packets of 188 bytes (about 25 MB): bounded, and when it is full the oldest
    // datagrams are lost and the stream goes on.
    dict.set("fifo_size", "131072");
    dict.set("overrun_nonfatal", "1");
}
