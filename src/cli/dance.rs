//! `kinora dancer`: renders the test dancer as H.264 with AAC in MP4, with its true joints on request.

use std::path::PathBuf;

use kinora_media::{AudioSettings, AudioTrack, MediaError, Mp4Writer, VideoSettings, YuvImage};
use serde_json::json;

use super::CliError;
use crate::dancer::{Dancer, LANDMARK_NAMES, Yuv420, audio};
use crate::dancer_options::{DancerOptions, parse_size};

/// Arguments of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The MP4 file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write the true place of each joint in each frame, as JSON.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Number of frames.
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    frames: u32,
    /// Size of the picture.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1920x1080", value_parser = parse_size)]
    size: (usize, usize),
    /// Frames a second.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    /// Chooses one of the casts and the noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let mut options = DancerOptions { frames: u64::from(args.frames), ..DancerOptions::default() };
    (options.settings.width, options.settings.height) = args.size;
    options.settings.fps = (args.fps, 1);
    options.settings.seed = args.seed;
    let dancer = Dancer::new(options.settings);
    render(&dancer, args)?;
    match &args.truth {
        Some(path) => std::fs::write(path, truth(&dancer, args))
            .map_err(|error| CliError::failed(format!("{}: {error}", path.display()))),
        None => Ok(()),
    }
}

/// Renders as many frames at once as there are cores, and encodes them in order.
fn render(dancer: &Dancer, args: &Args) -> Result<(), MediaError> {
    let (width, height) = args.size;
    let video = VideoSettings::new(width, height, (args.fps.cast_signed(), 1));
    let channels = u32::try_from(audio::CHANNELS).expect("a dancer should have few channels");
    let sound = AudioTrack::Encode(AudioSettings::new(audio::SAMPLE_RATE, channels));
    let mut writer = Mp4Writer::create(&args.out, &video, sound)?;
    let mut images: Vec<YuvImage> = Vec::new();
    let at_once =
        std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let mut first = 0;
    while first < args.frames {
        let batch: Vec<u64> = (first..args.frames.min(first + at_once)).map(u64::from).collect();
        images.clear();
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                batch.iter().map(|&frame| scope.spawn(move || image(dancer.render(frame)))).collect();
            images
                .extend(threads.into_iter().map(|thread| thread.join().expect("rendering should not panic")));
        });
        for (frame, picture) in batch.iter().zip(&images) {
            writer.write_video(picture)?;
            writer.write_audio(&samples_of(*frame, args.fps))?;
        }
        first += at_once;
    }
    writer.finish()
}

fn image(Yuv420 { width, height, y, u, v }: Yuv420) -> YuvImage {
    YuvImage { width, height, y, u, v, y_stride: width, c_stride: width.div_ceil(2) }
}

/// The sound of one frame: the samples from its time to the next frame's.
fn samples_of(frame: u64, fps: u32) -> Vec<f32> {
    let at = |frame: u64| frame * u64::from(audio::SAMPLE_RATE) / u64::from(fps);
    let count = usize::try_from(at(frame + 1) - at(frame)).expect("a frame's samples should be few");
    audio::samples(at(frame), count)
}

/// `{"landmarks": [names], "frames": [[[x, y], ... 33], ...]}`, fractions of the frame with 5 decimals.
fn truth(dancer: &Dancer, args: &Args) -> String {
    let rounded = |value: f32| (f64::from(value) * 1e5).round() / 1e5;
    let frames: Vec<Vec<[f64; 2]>> = (0..u64::from(args.frames))
        .map(|frame| dancer.truth(frame).iter().map(|point| point.map(rounded)).collect())
        .collect();
    format!("{}\n", json!({ "landmarks": LANDMARK_NAMES.as_slice(), "frames": frames }))
}
