//! Keys of the pipeline: what is analysed, how and where, and what happens when something fails.

use super::Key;
use crate::config::value::Kind;

/// In the order of the shipped file.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "analysis.tracking",
        kind: Kind::Choice(&["on", "off"]),
        default: "on",
        doc: "on: a person is followed from frame to frame and smoothed; off: each frame is analysed by itself.",
    },
    Key {
        name: "analysis.every_nth",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: "1",
        doc: "Analyse one frame of so many; the others are counted as skipped.",
    },
    Key {
        name: "analysis.max_fps",
        kind: Kind::Integer { min: 0, max: 1_000 },
        default: "0",
        doc: "Analyse at most so many frames of a second of media time; 0 is all.",
    },
    Key {
        name: "analysis.sampling",
        kind: Kind::Choice(&["mediapipe", "antialiased"]),
        default: "mediapipe",
        doc: "How a region is scaled to the network's input: as MediaPipe does (bilinear), or averaged where it shrinks.",
    },
    Key {
        name: "decoder.threads",
        kind: Kind::Integer { min: 0, max: 64 },
        default: "1",
        doc: "Threads that decode one stream; 0 leaves the choice to FFmpeg. With more than 1, frames of a damaged stream may differ from run to run.",
    },
    Key {
        name: "decoder.frames_ahead",
        kind: Kind::Integer { min: 1, max: 64 },
        default: "4",
        doc: "Frames of a file that are decoded ahead of inference.",
    },
    Key {
        name: "decoder.hardware",
        kind: Kind::Choice(&["off", "auto"]),
        default: "off",
        doc: "auto lets the GPU of inference.device decode; where it cannot, the CPU does, and sessionStarted says why.",
    },
    Key {
        name: "decoder.open_timeout",
        kind: Kind::Duration { min_ms: 100, max_ms: 300_000 },
        default: "5s",
        doc: "How long opening a source may take.",
    },
    Key {
        name: "decoder.read_timeout",
        kind: Kind::Duration { min_ms: 100, max_ms: 300_000 },
        default: "5s",
        doc: "How long a source may stay silent.",
    },
    Key {
        name: "inference.device",
        kind: Kind::Device,
        default: "auto",
        doc: "What the networks run on: auto is the first GPU that a binary with CUDA finds, else the CPU; cuda:0 demands it.",
    },
    Key {
        name: "inference.batch_deadline",
        kind: Kind::Duration { min_ms: 1, max_ms: 100 },
        default: "4ms",
        doc: "How long a request may wait on a GPU for those of other streams, to be run with them.",
    },
    Key {
        name: "inference.workers",
        kind: Kind::Integer { min: 0, max: 64 },
        default: "0",
        doc: "Inference workers of the server on the CPU, a thread each; 0 is one a core.",
    },
    Key {
        name: "inference.precision",
        kind: Kind::Choice(&["auto", "f32", "bf16"]),
        default: "auto",
        doc: "Products of the networks: auto is the fastest that keeps landmarks within 0.2 % of the image, f32 single precision.",
    },
    Key {
        name: "scale.command",
        kind: Kind::Text,
        default: "none",
        doc: "A program that is run when the need for another server changes; it finds KINORA_SCALE_OUT and KINORA_SCALE_REASON.",
    },
    Key {
        name: "scale.latency_budget",
        kind: Kind::Duration { min_ms: 1, max_ms: 60_000 },
        default: "150ms",
        doc: "Another server is needed when the 99th percentile of a stream, preprocessing to extraction, passes this.",
    },
    Key {
        name: "scale.admission",
        kind: Kind::Choice(&["on", "off"]),
        default: "on",
        doc: "on: a stream that would make others pass that budget is refused (503 over_capacity) unless the order says force=true.",
    },
    Key {
        name: "scale.leave_free",
        kind: Kind::Duration { min_ms: 1_000, max_ms: 3_600_000 },
        default: "1m",
        doc: "Among several servers: how long a full one leaves a stream that nobody runs to others, before it runs it all the same.",
    },
    Key {
        name: "supervision.stall_after",
        kind: Kind::Duration { min_ms: 100, max_ms: 60_000 },
        default: "2s",
        doc: "A stream without a frame for so long is stalled.",
    },
    Key {
        name: "supervision.retry_max",
        kind: Kind::Duration { min_ms: 10, max_ms: 300_000 },
        default: "5s",
        doc: "The longest wait before a stream is tried again; waits begin at 1 s and 2 s.",
    },
    Key {
        name: "cluster.servers",
        kind: Kind::Choice(&["one", "several"]),
        default: "one",
        doc: "several: each server runs the streams that it can lease, so database.url has to be a server; the same on all of them.",
    },
    Key {
        name: "cluster.lease",
        kind: Kind::Duration { min_ms: 1_500, max_ms: 60_000 },
        default: "6s",
        doc: "How long a server that is lost keeps its streams; they run elsewhere after that and a third of it.",
    },
];
