//! `kinora probe`: tells what a source is, what Kinora would do with it, and what stands in the way.

use std::io::Write;
use std::time::Duration;

use kinora_kernels::sample::Sampling;
use serde::Serialize;

use super::CliError;
use super::access_args::AccessArgs;
use crate::adapters::{
    FFMPEG_LACKS_IT, Fault, Findings, INVALID, KEY_FRAME_PATIENCE, Look, SourceAddress, Video, probe,
};
use crate::config::{Analysis, Settings};

/// Arguments of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// As for `analyze`, but dancer:.
    source: String,
    /// Tell it as one JSON object.
    #[arg(long)]
    json: bool,
    /// The longest wait for an answer and for the first picture [default: as a stream waits].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
    wait: Option<u16>,
    /// How long a live source is watched; less when a camera's clock is known sooner.
    #[arg(long, value_name = "SECONDS", default_value = "6", value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    #[command(flatten)]
    access: AccessArgs,
}

/// What was found, and what would be done.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    findings: &'a Findings,
    plan: Option<Plan>,
}

/// What Kinora would do with a source.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    /// The place of the track that is decoded.
    track: usize,
    /// Codec and library.
    decoder: String,
    /// Threads of the decoder; none is a thread a core.
    threads: Option<usize>,
    /// One frame of so many is analysed,
    every_nth: u32,
    /// and at most so many a second.
    max_fps: Option<u32>,
    /// Frames a second that are analysed if the machine can.
    analyzed_per_second: Option<f64>,
    /// Whether a person is followed from frame to frame.
    tracking: bool,
    /// How regions are scaled to the network's input.
    sampling: &'static str,
    /// What becomes of frames when the machine is too slow: `dropped` and counted, or they `wait`.
    when_busy: &'static str,
}

/// Runs the command.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<(), CliError> {
    let access = args.access.access(&args.source)?;
    let address = SourceAddress::parse(&args.source).map_err(|error| CliError::usage(error.to_string()))?;
    let wait = args.wait.map(|seconds| Duration::from_secs(seconds.into()));
    let mut decoder = settings.decoder.clone();
    if let Some(wait) = wait {
        (decoder.open_timeout, decoder.read_timeout) = (wait, wait);
    }
    let look = Look {
        decoder,
        patience: wait.unwrap_or(KEY_FRAME_PATIENCE),
        watch: Duration::from_secs(args.seconds.into()),
    };
    let findings = probe(&address, &access, &look);
    let plan = findings.video.as_ref().map(|video| plan(video, &findings, settings));
    let report = Report { findings: &findings, plan };
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).expect("a report should have only string keys") + "\n",
        false => describe(&report),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| CliError::failed(format!("standard output: {error}")))?;
    findings.fault.map_or(Ok(()), |fault| Err(ended_by(fault)))
}

fn ended_by(Fault { code, message, hint }: Fault) -> CliError {
    let message = match hint {
        Some(hint) => format!("{message}\nhint: {hint}"),
        None => message,
    };
    match code {
        INVALID => CliError::usage(message),
        FFMPEG_LACKS_IT => CliError::unavailable(message),
        _ => CliError::failed(message),
    }
}

fn plan(video: &Video, findings: &Findings, settings: &Settings) -> Plan {
    let Analysis { tracking, every_nth, max_fps, sampling } = &settings.analysis;
    let most = max_fps.map(std::num::NonZero::get);
    let left = video.frame_rate.map(|rate| rate / f64::from(every_nth.get()));
    let rounded = |rate: f64| (rate * 100.0).round() / 100.0;
    Plan {
        track: findings.tracks.iter().position(|track| track.chosen).unwrap_or_default(),
        decoder: format!("{} by {}", video.codec, kinora_media::version()),
        threads: settings.decoder.threads,
        every_nth: every_nth.get(),
        max_fps: most,
        analyzed_per_second: left.map(|rate| rounded(most.map_or(rate, |most| rate.min(most.into())))),
        tracking: *tracking,
        sampling: match sampling {
            Sampling::MediaPipe => "mediapipe",
            Sampling::Antialiased => "antialiased",
        },
        when_busy: if findings.live { "dropped" } else { "wait" },
    }
}

/// For people: a line for each thing that is known.
fn describe(Report { findings, plan }: &Report<'_>) -> String {
    let mut lines = vec![("source", findings.source.clone()), ("transport", transport(findings))];
    lines.extend(findings.server.iter().map(|server| ("server", server.clone())));
    lines.extend(findings.authentication.iter().map(|offers| ("login", login(offers))));
    for (place, track) in findings.tracks.iter().enumerate() {
        let profile = track.profile.as_ref().map_or(String::new(), |profile| format!(" ({profile})"));
        let chosen = if track.chosen { ", chosen" } else { "" };
        lines.push(("track", format!("{place}: {} {}{profile}{chosen}", track.kind, track.codec)));
    }
    if let Some(video) = &findings.video {
        lines.push(("picture", picture(video)));
        lines.extend(video.clock.iter().map(|clock| {
            let source = match clock.source {
                kinora_actors::domain::ClockSource::Rtcp => "the camera's, by its reports (rtcp)",
                kinora_actors::domain::ClockSource::Arrival => "this host's, by arrival (arrival)",
                kinora_actors::domain::ClockSource::File => "the file's time of creation (file)",
                kinora_actors::domain::ClockSource::Synthetic => "the start of the session (synthetic)",
            };
            ("clock", format!("{source}, within {} ms", clock.uncertainty_ms))
        }));
    }
    lines.extend(plan.iter().map(|plan| ("plan", plan.to_string())));
    lines.iter().map(|(name, text)| format!("{name:<10} {text}\n")).collect()
}

fn transport(findings: &Findings) -> String {
    match &findings.container {
        Some(container) => format!("{}, {container}", findings.transport),
        None => findings.transport.clone(),
    }
}

fn login(offers: &[String]) -> String {
    match offers {
        [] => "none is asked for".to_owned(),
        offers => format!("{} is offered, and was accepted", offers.join(", ")),
    }
}

fn picture(video: &Video) -> String {
    let rate = video.frame_rate.map_or("an unknown number of".to_owned(), |rate| rate.to_string());
    let damaged = match video.damaged {
        0 => String::new(),
        count => format!(", {count} lost or damaged"),
    };
    format!(
        "{} {}x{}, {rate} frames a second; the first after {} ms{damaged}",
        video.codec, video.width, video.height, video.first_frame_ms
    )
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nth =
            if self.every_nth == 1 { "each frame".to_owned() } else { format!("one of {}", self.every_nth) };
        let most = self.max_fps.map_or(String::new(), |most| format!(", at most {most} a second"));
        let tracking = if self.tracking { "on" } else { "off" };
        let busy = if self.when_busy == "wait" { "frames wait" } else { "frames are dropped and counted" };
        write!(
            f,
            "decode track {} with {}; analyse {nth}{most}; tracking {tracking}; when busy, {busy}",
            self.track, self.decoder
        )
    }
}
