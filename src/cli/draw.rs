//! `kinora draw`: a copy of a clip with the skeletons of its recorded events, sound kept.
//!
//! A pass of its own, so that drawing and encoding never slow an analysis down. Frames and events meet by the
//! frame's index; each frame keeps its time.

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
    /// The clip that was analysed: a path or address as for `kinora analyze`.
    clip: String,
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
        if line.trim().is_empty() {
            continue;
        }
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

/// What could be read is written, also when the clip ends with an error.
fn draw(args: &Args, skeletons: &Skeletons) -> Result<(), MediaError> {
    let address = Address::parse(&args.clip)?;
    let mut reader = FrameReader::open(&address, &OpenOptions::default(), &DecodeOptions::default())?;
    let mut sound = Sound::open(&address)?;
    let mut copy: Option<Copy> = None;
    loop {
        match reader.next_item() {
            Item::Frame(frame, meta) => {
                let image = drawn(&frame, skeletons.get(&meta.index))?;
                let copy = match &mut copy {
                    Some(copy) => copy,
                    None => copy.insert(Copy::begin(args, reader.input().video(), &image, &frame, &sound)?),
                };
                let time_us = copy.time_us(&frame);
                copy.writer.write_video_at(&image, time_us)?;
                sound.copy_until(time_us, &mut copy.writer)?;
            }
            Item::Lost(_) => {}
            Item::End { error } => {
                if let Some(mut copy) = copy {
                    sound.copy_until(i64::MAX, &mut copy.writer)?;
                    copy.writer.finish()?;
                }
                return error.map_or(Ok(()), Err);
            }
        }
    }
}

/// The file that is written: as large as the first displayed frame, with the times of the clip.
struct Copy {
    writer: Mp4Writer,
    first_us: i64,
    last_us: i64,
    step_us: i64,
}

impl Copy {
    fn begin(
        args: &Args,
        info: &VideoInfo,
        image: &YuvImage,
        first: &Frame,
        sound: &Sound,
    ) -> Result<Self, MediaError> {
        let rate = info.frame_rate.unwrap_or(DEFAULT_RATE);
        let settings = VideoSettings::new(image.width, image.height, rate);
        let writer = Mp4Writer::create(&args.out, &settings, sound.track())?;
        let step_us = 1_000_000 * i64::from(rate.1) / i64::from(rate.0.max(1));
        Ok(Self { writer, first_us: pts_us(first).unwrap_or(0), last_us: -step_us, step_us })
    }

    /// Time of `frame` since the first one; a frame without a time stamp follows the last one.
    fn time_us(&mut self, frame: &Frame) -> i64 {
        let time = pts_us(frame).map(|us| us.saturating_sub(self.first_us));
        self.last_us = time.unwrap_or(self.last_us + self.step_us);
        self.last_us
    }
}

fn pts_us(frame: &Frame) -> Option<i64> {
    let (num, den) = frame.time_base();
    Some(frame.pts()?.saturating_mul(1_000_000).saturating_mul(i64::from(num)) / i64::from(den.max(1)))
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
