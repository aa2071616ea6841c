//! `kinora draw`: a copy of a clip with the skeletons of its recorded events, sound kept.
//!
//! A pass of its own, so that drawing and encoding never slow an analysis down. Frames and events meet by the
//! frame's index. The copy has a constant frame rate, the clip's mean one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use kinora_media::{
    Address, AudioTrack, DecodeOptions, Frame, FrameReader, Input, Item, MediaError, Mp4Writer, OpenOptions,
    Packet, PacketKind, VideoInfo, VideoSettings, YuvImage,
};
use serde::Deserialize;

use super::CliError;
use crate::overlay::{self, Keypoint, Planes, Style};

/// Rate of the copy of a clip that does not tell its own.
const DEFAULT_RATE: (i32, i32) = (30, 1);

/// Arguments of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The clip that was analysed.
    clip: PathBuf,
    /// Its events, one JSON object a line, as `kinora analyze --out` writes them.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// The MP4 file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Keypoints by frame index.
type Skeletons = HashMap<u64, Vec<Keypoint>>;

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let skeletons = read_skeletons(&args.events)?;
    Ok(draw(args, &skeletons)?)
}

/// What is needed of an event.
#[derive(Deserialize)]
struct Event {
    event: String,
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    frame: Option<FrameIndex>,
    #[serde(default)]
    poses: Vec<Pose>,
}

#[derive(Deserialize)]
struct FrameIndex {
    index: u64,
}

#[derive(Deserialize)]
struct Pose {
    keypoints: Vec<[f32; 4]>,
}

fn read_skeletons(path: &Path) -> Result<Skeletons, CliError> {
    let failed = |what: String| CliError::failed(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut skeletons = Skeletons::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| failed(error.to_string()))?;
        let event: Event = serde_json::from_str(&line)
            .map_err(|error| failed(format!("line {} is not an event of Kinora: {error}", number + 1)))?;
        if let (true, Some(frame)) = (event.event == "frameAnalyzed", event.payload.frame) {
            let points = event.payload.poses.into_iter().flat_map(|pose| pose.keypoints);
            let points = points.map(|[x, y, _, visibility]| Keypoint { x, y, visibility }).collect();
            skeletons.insert(frame.index, points);
        }
    }
    Ok(skeletons)
}

fn draw(args: &Args, skeletons: &Skeletons) -> Result<(), MediaError> {
    let address = Address::file(&args.clip.to_string_lossy());
    let mut reader = FrameReader::open(&address, &OpenOptions::default(), &DecodeOptions::default())?;
    let mut sound = Sound::open(&address)?;
    let video = settings(reader.input().video());
    let mut writer = Mp4Writer::create(&args.out, &video, sound.track())?;
    let mut written = 0;
    loop {
        match reader.next_item() {
            Item::Frame(frame, meta) => {
                let image = drawn(&frame, skeletons.get(&meta.index))?;
                writer.write_video(&image)?;
                written += 1;
                sound.copy_until(time_us(written, video.frame_rate), &mut writer)?;
            }
            Item::Lost(_) => {}
            Item::End { error: Some(error) } => return Err(error),
            Item::End { error: None } => break,
        }
    }
    sound.copy_until(i64::MAX, &mut writer)?;
    writer.finish()
}

fn settings(info: &VideoInfo) -> VideoSettings {
    let (width, height) = match info.rotation {
        90 | 270 => (info.height, info.width),
        _ => (info.width, info.height),
    };
    // H.264 in 4:2:0 has even sides; the last row or column of an odd picture is left out.
    VideoSettings::new(width & !1, height & !1, info.frame_rate.unwrap_or(DEFAULT_RATE))
}

/// Time of the beginning of frame `index`.
fn time_us(index: i64, (num, den): (i32, i32)) -> i64 {
    index * 1_000_000 * i64::from(den) / i64::from(num.max(1))
}

fn drawn(frame: &Frame, skeleton: Option<&Vec<Keypoint>>) -> Result<YuvImage, MediaError> {
    let mut image = YuvImage::from_frame(frame)?.turned(frame.rotation()).cropped_to_even();
    if let Some(points) = skeleton {
        let mut planes = Planes {
            width: image.width,
            height: image.height,
            y: &mut image.y,
            y_stride: image.y_stride,
            u: &mut image.u,
            u_stride: image.c_stride,
            v: &mut image.v,
            v_stride: image.c_stride,
        };
        overlay::draw_skeleton(&mut planes, points, &Style::default());
    }
    Ok(image)
}

/// The sound of the clip, read beside its video and copied in step with it.
struct Sound {
    input: Input,
    waiting: Option<Packet>,
}

impl Sound {
    fn open(address: &Address) -> Result<Self, MediaError> {
        let options = OpenOptions { audio: true, ..OpenOptions::default() };
        Ok(Self { input: Input::open(address, &options)?, waiting: None })
    }

    fn track(&self) -> AudioTrack {
        self.input.audio().map_or(AudioTrack::None, |info| AudioTrack::Copy(info.clone()))
    }

    /// Copies the packets that begin before `end_us` of the video's time.
    fn copy_until(&mut self, end_us: i64, writer: &mut Mp4Writer) -> Result<(), MediaError> {
        let Some(origin_us) = self.input.audio().map(|info| info.origin_us) else {
            return Ok(());
        };
        loop {
            let packet = match self.waiting.take() {
                Some(packet) => packet,
                None => match self.input.read()? {
                    Some(packet) if packet.kind() == PacketKind::Audio => packet,
                    Some(_) => continue,
                    None => return Ok(()),
                },
            };
            let (num, den) = packet.time_base();
            let begins_us =
                packet.pts().map_or(0, |pts| pts * 1_000_000 * i64::from(num) / i64::from(den.max(1)));
            if begins_us.saturating_sub(origin_us) >= end_us {
                self.waiting = Some(packet);
                return Ok(());
            }
            writer.write_packet(&packet)?;
        }
    }
}
