//! How numbers of `frameAnalyzed` are written: rounding, member names, member order.
//!
//! Coordinates have 4 decimals, scores and milliseconds 3. A rounded value is written in its shortest form; the
//! smallest step, 0.0001, is still written without an exponent, and adding positive zero removes the sign of
//! negative zero. A value that is not finite never gets here: models refuse it.

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use super::{CaptureTime, FrameAccount, FrameAnalyzed, Keypoint, Pose, StageLatency, Timebase};

/// `value` rounded to four decimals.
fn coordinate(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4 + 0.0
}

/// `value` rounded to three decimals.
fn score(value: f32) -> f64 {
    (f64::from(value) * 1e3).round() / 1e3 + 0.0
}

/// Microseconds as milliseconds with three decimals.
#[allow(clippy::cast_precision_loss)] // Exact below 2^53 microseconds, which is 285 years.
fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

impl Serialize for FrameAnalyzed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("FrameAnalyzed", 7)?;
        body.serialize_field("epoch", &self.epoch)?;
        body.serialize_field("frame", &FrameFields::from(self))?;
        body.serialize_field("clock", &ClockFields::from(self.captured))?;
        body.serialize_field("poses", &Poses(&self.poses))?;
        // The place of detectors of things; kept so that adding them breaks no reader.
        body.serialize_field("objects", &[(); 0])?;
        body.serialize_field("latencyMs", &LatencyFields::from(self.latency))?;
        body.serialize_field("frames", &self.account as &FrameAccount)?;
        body.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FrameFields {
    index: u64,
    pts: i64,
    timebase: (i32, i32),
    media_ms: f64,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
}

impl From<&FrameAnalyzed> for FrameFields {
    #[allow(clippy::cast_precision_loss)] // Exact below 2^53 microseconds, which is 285 years.
    fn from(frame: &FrameAnalyzed) -> Self {
        let Timebase { num, den } = frame.timebase;
        Self {
            index: frame.index,
            pts: frame.pts,
            timebase: (num, den),
            media_ms: frame.media_us as f64 / 1e3,
            width: frame.size.width,
            height: frame.size.height,
            mark: frame.mark,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClockFields {
    source: super::ClockSource,
    uncertainty_ms: u32,
}

impl From<CaptureTime> for ClockFields {
    fn from(time: CaptureTime) -> Self {
        Self { source: time.source, uncertainty_ms: time.uncertainty_ms }
    }
}

#[derive(Serialize)]
struct LatencyFields {
    decode: f64,
    queue: f64,
    preprocess: f64,
    inference: f64,
    publish: f64,
    total: f64,
}

impl From<StageLatency> for LatencyFields {
    fn from(latency: StageLatency) -> Self {
        Self {
            decode: ms(latency.decode_us),
            queue: ms(latency.queue_us),
            preprocess: ms(latency.preprocess_us),
            inference: ms(latency.inference_us),
            publish: ms(latency.publish_us),
            total: ms(latency.total_us()),
        }
    }
}

struct Poses<'a>(&'a [Pose]);

impl Serialize for Poses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for pose in self.0 {
            list.serialize_element(&PoseFields {
                score: score(pose.score),
                bbox: pose.bbox.map(coordinate),
                layout: pose.layout,
                keypoints: pose.keypoints.iter().map(keypoint).collect(),
                world: pose.world.iter().map(|point| point.map(coordinate)).collect(),
            })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct PoseFields {
    score: f64,
    #[serde(rename = "box")]
    bbox: [f64; 4],
    layout: &'static str,
    keypoints: Vec<[f64; 4]>,
    world: Vec<[f64; 3]>,
}

fn keypoint(point: &Keypoint) -> [f64; 4] {
    [coordinate(point.x), coordinate(point.y), coordinate(point.z), score(point.visibility)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_exponent_and_no_negative_zero() {
        for value in [-0.00001_f32, 0.0001, 0.00004, 1.0, -0.5, 123.456_78] {
            let text = serde_json::to_string(&coordinate(value)).unwrap();
            assert!(!text.contains('e') && !text.starts_with("-0.0\""), "{text}");
            assert_ne!(text, "-0.0");
        }
        assert_eq!(serde_json::to_string(&coordinate(0.456_149)).unwrap(), "0.4561");
        assert_eq!(serde_json::to_string(&score(0.980_9)).unwrap(), "0.981");
    }

    #[test]
    fn latency_stages_add_up_to_the_written_total() {
        let latency = StageLatency {
            decode_us: 3201,
            queue_us: 299,
            preprocess_us: 405,
            inference_us: 9811,
            publish_us: 7,
        };
        let json = serde_json::to_value(LatencyFields::from(latency)).unwrap();
        let sum: f64 = ["decode", "queue", "preprocess", "inference", "publish"]
            .iter()
            .map(|stage| json[stage].as_f64().unwrap())
            .sum();
        assert!((sum - json["total"].as_f64().unwrap()).abs() < 1e-9);
    }
}
