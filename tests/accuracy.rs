//! Poses on the test dancer, against MediaPipe 0.10.14 on the same frames and against the true joints.
//!
//! The golden numbers are made by `make golden`. Distances are in units of the torso: from the middle of the shoulders
//! to the middle of the hips, in pixels. Depth is measured in the same unit, as MediaPipe scales it.

use std::sync::OnceLock;

use serde_json::Value;

use crate::clips;
use crate::support::{frames, kinora, root, scratch_file, text};

/// Greatest mean distance of a joint from where MediaPipe puts it.
const GOLDEN_LIMIT: f64 = 0.01;
/// Greatest mean distance of a joint from where it truly is.
const TRUTH_LIMIT: f64 = 0.07;
const JOINTS: usize = 33;
const MISSING: &str = "`make golden` makes it";

/// Joints of one frame in pixels.
type Joints = Vec<[f64; 2]>;

fn golden(mode: &str) -> Value {
    let path = root().join(format!("tests/golden/dance.{mode}.json"));
    let json =
        std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is missing; {MISSING}", path.display()));
    serde_json::from_str(&json).unwrap()
}

/// Keypoints of each frame of the dance in pixels, tracked as a video or each frame by itself.
fn kinora_joints(tracking: &str) -> Vec<Joints> {
    let clip = clips::dance();
    let set = format!("analysis.tracking={tracking}");
    let events = kinora(&["analyze", text(&clip.path), "--set", &set]).events();
    let joints: Vec<Joints> =
        frames(&events).iter().map(|frame| pixels(&frame["poses"][0]["keypoints"])).collect();
    assert_eq!(joints.len() as u64, clip.frames);
    joints
}

fn video_joints() -> &'static Vec<Joints> {
    static JOINTS: OnceLock<Vec<Joints>> = OnceLock::new();
    JOINTS.get_or_init(|| kinora_joints("on"))
}

fn static_joints() -> &'static Vec<Joints> {
    static JOINTS: OnceLock<Vec<Joints>> = OnceLock::new();
    JOINTS.get_or_init(|| kinora_joints("off"))
}

/// A list of points in fractions as pixels of the dance.
fn pixels(points: &Value) -> Joints {
    let clip = clips::dance();
    let points = points.as_array().expect("a person should be found in each frame");
    let scale = |p: &Value| [p[0].as_f64().unwrap() * clip.width, p[1].as_f64().unwrap() * clip.height];
    points.iter().map(scale).collect()
}

fn torso(joints: &Joints) -> f64 {
    let middle =
        |a: usize, b: usize| [(joints[a][0] + joints[b][0]) / 2.0, (joints[a][1] + joints[b][1]) / 2.0];
    distance(middle(11, 12), middle(23, 24))
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Mean distance of each joint over the frames of `expected`, in torsos.
fn mean_distances(got: &[Joints], expected: &[(usize, Joints)]) -> Vec<f64> {
    let mut sums = vec![0.0; JOINTS];
    for (frame, joints) in expected {
        let unit = torso(joints);
        for joint in 0..JOINTS {
            sums[joint] += distance(got[*frame][joint], joints[joint]) / unit;
        }
    }
    sums.iter().map(|sum| sum / expected.len() as f64).collect()
}

fn assert_below(limit: f64, distances: &[f64], what: &str) {
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    let worst = distances.iter().copied().fold(0.0, f64::max);
    println!(
        "{what}: mean over all joints {:.3} %, worst joint {:.3} % of the torso",
        mean * 100.0,
        worst * 100.0
    );
    for (joint, distance) in distances.iter().enumerate() {
        assert!(
            *distance <= limit,
            "{what}: joint {joint} is {:.2} % of the torso away on average",
            distance * 100.0
        );
    }
}

fn golden_joints(mode: &str) -> Vec<(usize, Joints)> {
    let golden = golden(mode);
    let poses = golden["poses"].as_object().unwrap();
    let joints: Vec<_> =
        poses.iter().map(|(frame, pose)| (frame.parse().unwrap(), pixels(&pose["landmarks"]))).collect();
    assert!(joints.len() >= 24, "golden numbers should cover the dance");
    joints
}

fn true_joints() -> Vec<(usize, Joints)> {
    clips::dance().truth["frames"].as_array().unwrap().iter().map(pixels).enumerate().collect()
}

#[test]
fn single_frames_agree_with_mediapipe_in_static_mode() {
    assert_below(GOLDEN_LIMIT, &mean_distances(static_joints(), &golden_joints("static")), "static mode");
}

#[test]
fn a_clip_agrees_with_mediapipe_in_video_mode() {
    assert_below(GOLDEN_LIMIT, &mean_distances(video_joints(), &golden_joints("video")), "video mode");
}

#[test]
fn joints_are_where_they_truly_are() {
    for (what, joints) in [("truth, static", static_joints()), ("truth, video", video_joints())] {
        assert_below(TRUTH_LIMIT, &mean_distances(joints, &true_joints()), what);
    }
}

#[test]
fn depth_visibility_and_world_agree_with_mediapipe() {
    let events = kinora(&["analyze", text(&clips::dance().path)]).events();
    let frames = frames(&events);
    let golden = golden("video");
    let (mut depth, mut visibility, mut world, mut count) = (0.0, 0.0, 0.0, 0.0);
    for (frame, expected) in golden["poses"].as_object().unwrap() {
        let pose = &frames[frame.parse::<usize>().unwrap()]["poses"][0];
        for joint in 0..JOINTS {
            let off = |got: &Value, want: &Value| (got.as_f64().unwrap() - want.as_f64().unwrap()).abs();
            let (got, want) = (&pose["keypoints"][joint], &expected["landmarks"][joint]);
            depth += off(&got[2], &want[2]);
            visibility += off(&got[3], &want[3]);
            world += (0..3)
                .map(|axis| off(&pose["world"][joint][axis], &expected["world"][joint][axis]))
                .sum::<f64>();
            count += 1.0;
        }
    }
    let (depth, visibility, world) = (depth / count, visibility / count, world / (3.0 * count));
    println!("mean deviation: z {depth:.5} of the width, visibility {visibility:.5}, world {world:.5} m");
    assert!(depth < 0.005 && visibility < 0.005 && world < 0.005);
}

/// Greatest distance of a joint from where single precision puts it, in fractions of the image.
const PRECISION_LIMIT: f64 = 0.005;

/// In closed loop each frame's region comes from the frame before, so that small differences could add up.
#[test]
fn products_in_bfloat16_stay_near_single_precision_over_300_tracked_frames() {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !processor.contains("amx_bf16") {
        println!("skipped: this processor has no products in bfloat16");
        return;
    }
    let clip = scratch_file("closed-loop.mp4");
    let size = ["--size", "640x360", "--fps", "60", "--frames", "300"];
    assert_eq!(kinora(&[&["dancer", "--out", text(&clip)], &size[..]].concat()).code, 0);
    let [single, half] = ["f32", "bf16"].map(|precision| {
        let set = format!("inference.precision={precision}");
        kinora(&["analyze", text(&clip), "--set", &set]).events()
    });
    let [single, half] = [frames(&single), frames(&half)];
    assert_eq!((single.len(), half.len()), (300, 300));
    let mut worst = 0f64;
    for (frame, other) in single.iter().zip(&half) {
        for joint in 0..JOINTS {
            let place = |frame: &Value| {
                [0, 1].map(|axis| frame["poses"][0]["keypoints"][joint][axis].as_f64().expect("a pose"))
            };
            worst = worst.max(distance(place(frame), place(other)));
        }
    }
    println!("bfloat16 in closed loop: worst joint of 300 frames {:.3} % of the image away", worst * 100.0);
    assert!(worst > 0.0, "the two precisions should not be the same products");
    assert!(worst <= PRECISION_LIMIT, "{:.3} % of the image", worst * 100.0);
}
