//! `kinora analyze`: runs the pipeline on one source, events as NDJSON, a summary at the end.
//!
//! The same family of actors as in the server, with a file or standard output in the journal's place.

use std::io::Write;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::{Actor, Addr};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use kinora_actors::broadcaster::SessionClosed;
use kinora_actors::decoder::Pace;
use kinora_actors::domain::{EncodedEvent, EndReason, EventKind, Provenance, SessionId};
use kinora_actors::handoff::HandoffPolicy;
use kinora_actors::policy::FramePolicy;
use kinora_actors::ports::{MarkReader, SourceErrorKind, SourceFactory};
use kinora_actors::supervisor::{FamilyParts, StopStream, StreamOutcome, StreamSupervisor};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::access_args::AccessArgs;
use super::model::{load_networks, model_factory, provenance};
use super::summary::Summary;
use super::{CliError, tell};
use crate::adapters::{
    BlazePoseTracker, DancerSource, EventFile, KernelSampler, SourceAddress, StripReader, SystemClock,
};
use crate::config::Settings;
use crate::dancer_options::DancerOptions;

/// Arguments of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file (video or image), rtsp(s)://, udp://, tcp://, srt://, http(s)://, device:/dev/videoN, or dancer: for the
    /// test dancer.
    source: String,
    /// Write events to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End after so many frames.
    #[arg(long, value_name = "N")]
    max_frames: Option<NonZeroU64>,
    /// Speed of a file: as fast as possible, or the speed of its clock.
    #[arg(long, value_enum, default_value = "max")]
    pace: PaceArg,
    /// Write a summary as JSON to this file.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
    /// Tell the frame number that the test dancer carries in its picture, as `frame.mark`.
    #[arg(long)]
    read_marks: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PaceArg {
    Max,
    Realtime,
}

/// A source that was understood, and whether it brings frames at its own pace.
struct Source {
    factory: Box<dyn SourceFactory>,
    live: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<(), CliError> {
    let source = parse_source(args, settings)?;
    let networks = load_networks(settings)?;
    let provenance = provenance(&networks, settings);
    let session: Arc<str> = uuid::Uuid::now_v7().to_string().into();
    let progress = progress_bar(args);
    if args.out.is_some() && args.out == args.summary {
        return Err(CliError::usage("--out and --summary name the same file; they must be two"));
    }
    let sink = open_sink(args, &progress)?;
    let summary = args.summary.as_deref().map(SummaryFile::create).transpose()?;
    let family = FamilyParts {
        stream: "analyze".into(),
        session: SessionId(Arc::clone(&session)),
        provenance: provenance.clone(),
        source: source.factory,
        handoff: match source.live {
            true => HandoffPolicy::Latest,
            false => HandoffPolicy::Wait { depth: settings.decoder.frames_ahead },
        },
        pace: match args.pace {
            PaceArg::Max => Pace::Max,
            PaceArg::Realtime => Pace::Realtime,
        },
        max_frames: args.max_frames.map(NonZeroU64::get),
        policy: FramePolicy::new(settings.analysis.every_nth, settings.analysis.max_fps),
        sampler: Box::new(KernelSampler::new(settings.analysis.sampling, &provenance.device)),
        tracker: Box::new(BlazePoseTracker::new(settings.analysis.tracking)),
        marks: args.read_marks.then(|| Box::new(StripReader) as Box<dyn MarkReader>),
        model: model_factory(networks),
        sink: Box::new(sink),
        clock: Arc::new(SystemClock::new()),
    };
    let outcome = run_family(family)?;
    progress.finish_and_clear();
    conclude(outcome, &session, &provenance, summary)
}

fn parse_source(args: &Args, settings: &Settings) -> Result<Source, CliError> {
    let text = &args.source;
    let access = args.access.access(text)?;
    if let Some(query) = text.strip_prefix("dancer:") {
        let options = DancerOptions::parse(query).map_err(CliError::usage)?;
        return Ok(Source { factory: Box::new(DancerSource(options)), live: false });
    }
    let address = parse_address(text)?;
    Ok(Source { live: address.is_live(), factory: address.source(&access, &settings.decoder) })
}

/// An address as a person wrote it.
///
/// # Errors
/// Wrong use, with what is allowed.
fn parse_address(text: &str) -> Result<SourceAddress, CliError> {
    SourceAddress::parse(text).map_err(|error| match error.is_unknown_scheme() {
        true => CliError::usage(format!("{error}, and dancer: for the test dancer")),
        false => CliError::usage(error.to_string()),
    })
}

/// A bar with the share done where the length is known, else a counter; hidden when standard error is no terminal.
fn progress_bar(args: &Args) -> ProgressBar {
    let bar = match args.max_frames {
        Some(frames) => ProgressBar::new(frames.get()),
        None => ProgressBar::no_length(),
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} frames, {per_sec}, {eta} left")
        .expect("the template of the progress bar should be valid");
    bar.with_style(style)
}

fn open_sink(args: &Args, progress: &ProgressBar) -> Result<EventFile, CliError> {
    let progress = progress.clone();
    let watcher = Box::new(move |event: &EncodedEvent| watch(&progress, event));
    match &args.out {
        Some(path) => EventFile::create(path, watcher)
            .map_err(|error| CliError::failed(format!("{}: cannot be created: {error}", path.display()))),
        None => Ok(EventFile::stdout(watcher)),
    }
}

/// Moves the bar on; the first event tells how long a file claims to be.
fn watch(progress: &ProgressBar, event: &EncodedEvent) {
    match event.kind {
        EventKind::FrameAnalyzed => progress.set_position(event.facts.account.received),
        EventKind::SessionStarted if progress.length().is_none() => {
            let started: Option<serde_json::Value> = serde_json::from_slice(&event.json).ok();
            let claimed = started.and_then(|started| started["payload"]["source"]["claimedFrames"].as_u64());
            claimed.into_iter().for_each(|frames| progress.set_length(frames));
        }
        _ => {}
    }
}

/// Runs the family on an actix System of its own until it is done; SIGINT and SIGTERM end it early.
fn run_family(parts: FamilyParts) -> Result<StreamOutcome, CliError> {
    actix::System::new().block_on(async move {
        let (teller, outcome) = oneshot::channel();
        let mut parts = Some(parts);
        let factory = Box::new(move || parts.take().expect("one analysis should build one family"));
        let supervisor = StreamSupervisor::new(factory, teller).start();
        actix::spawn(stop_on_signal(supervisor));
        outcome.await.map_err(|_| CliError::internal("the stream's supervisor is gone without a word"))
    })
}

async fn stop_on_signal(supervisor: Addr<StreamSupervisor>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    // A supervisor that is gone has nothing left to stop.
    let _ = supervisor.try_send(StopStream);
}

fn conclude(
    outcome: StreamOutcome,
    session: &str,
    provenance: &Provenance,
    summary: Option<SummaryFile>,
) -> Result<(), CliError> {
    match outcome {
        StreamOutcome::Closed(closed) => {
            summarise(&closed, session, provenance, summary)?;
            end_of(closed)
        }
        StreamOutcome::SourceFailed(error) if error.kind == SourceErrorKind::Cancelled => {
            Err(CliError::failed("stopped before the source was open"))
        }
        StreamOutcome::SourceFailed(error) => Err(CliError::failed(error.message)),
        StreamOutcome::Crashed(child) => {
            Err(CliError::internal(format!("the {child:?} failed; this is a bug")))
        }
        StreamOutcome::Hung => Err(CliError::internal("a part did not finish in time after the stop")),
    }
}

/// The file first: a terminal that is gone must not cost the summary.
fn summarise(
    closed: &SessionClosed,
    session: &str,
    provenance: &Provenance,
    file: Option<SummaryFile>,
) -> Result<(), CliError> {
    let summary = Summary::new(session, closed, provenance);
    let written = file.map_or(Ok(()), |file| file.write(&summary));
    tell(&summary.to_string());
    written
}

/// The file of the summary, created before the work, so that a wrong path costs nothing.
struct SummaryFile {
    path: PathBuf,
    file: std::fs::File,
}

impl SummaryFile {
    fn create(path: &Path) -> Result<Self, CliError> {
        let file = std::fs::File::create(path)
            .map_err(|error| CliError::failed(format!("{}: cannot be created: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(mut self, summary: &Summary<'_>) -> Result<(), CliError> {
        let json = serde_json::to_string_pretty(summary).expect("a summary should have only string keys");
        writeln!(self.file, "{json}")
            .map_err(|error| CliError::failed(format!("{}: {error}", self.path.display())))
    }
}

fn end_of(closed: SessionClosed) -> Result<(), CliError> {
    match closed.reason {
        EndReason::EndOfSource | EndReason::FrameLimit | EndReason::Stopped => match closed.sink_error {
            Some(error) => Err(CliError::failed(format!("events could not be written: {error}"))),
            None => Ok(()),
        },
        EndReason::SourceFailed(message) => Err(CliError::failed(message)),
        // Only a server restarts sessions.
        EndReason::Restart => Err(CliError::internal("the session was ended by a restart")),
        EndReason::PipelineFailed(message) if closed.sink_error.is_some() => Err(CliError::failed(message)),
        EndReason::PipelineFailed(message) => Err(CliError::internal(message)),
    }
}
