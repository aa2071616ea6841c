//! Both networks against TensorFlow Lite's numbers (`tools/golden/networks.py`), and what they promise beside
//! numbers.

mod support;

use kinora_kernels::{Bf16, Simd};
use kinora_models::{
    DETECTOR_SIDE, Execution, HEATMAP_SIDE, Instructions, LANDMARK_COUNT, LANDMARK_SIDE, ModelError,
    PoseNetworks, weights::WEIGHT_FILES,
};
use serde_json::Value;
use support::inputs::image;

/// Largest difference allowed, as a part of an output's range. The requirement is 1e-3; single precision
/// leaves far less.
const TOLERANCE: f64 = 1e-4;
/// Outputs of more values are stored as a subset; see the generator.
const WHOLE: usize = 2304;
const STRIDE: usize = 7919;

fn golden(network: &str) -> serde_json::Map<String, Value> {
    let path = format!("{}/tests/golden/{network}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("golden numbers should be there");
    serde_json::from_str(&text).expect("golden numbers should be a JSON object")
}

/// The largest difference from the golden values, and of mean and extremes, as a part of the range.
fn difference(golden: &Value, found: &[f32]) -> f64 {
    let number = |key: &str| golden[key].as_f64().expect("it should be a number");
    assert_eq!(number("len") as usize, found.len());
    // Maxima pass over what is no number, and would call an output of nothing else perfect.
    assert!(found.iter().all(|value| value.is_finite()), "each output should be a number");
    // A single value has no range; the flag is a probability.
    let range = if found.len() == 1 { 1.0 } else { number("max") - number("min") };
    let exact = found.iter().map(|value| f64::from(*value));
    let [sum, min, max] = exact.fold([0.0, f64::MAX, f64::MIN], |[sum, min, max], value| {
        [sum + value, min.min(value), max.max(value)]
    });
    let mean_apart = (sum - number("sum")) / found.len() as f64;
    let apart = [mean_apart, min - number("min"), max - number("max")];
    let stride = if found.len() <= WHOLE { 1 } else { STRIDE };
    let values = golden["values"].as_array().expect("values should be a list").iter().enumerate();
    let each = values.map(|(index, value)| {
        f64::from(found[index * stride % found.len()]) - value.as_f64().expect("each should be a number")
    });
    each.chain(apart).map(|apart| apart.abs() / range).fold(0.0, f64::max)
}

fn assert_close(input: &str, golden: &Value, outputs: &[(&str, &[f32])]) {
    for (name, found) in outputs {
        let apart = difference(&golden[name], found);
        assert!(apart < TOLERANCE, "{input}: {name} is {apart:.1e} of its range off");
    }
}

#[test]
#[should_panic(expected = "each output should be a number")]
fn outputs_that_are_no_numbers_do_not_agree_with_anything() {
    let golden = serde_json::json!({ "len": 2, "sum": 0.0, "min": -1.0, "max": 1.0, "values": [-1.0, 1.0] });
    assert_close("nothing", &serde_json::json!({ "scores": golden }), &[("scores", &[f32::NAN, f32::NAN])]);
}

/// Every way in which this machine can run the networks in single precision.
fn ways() -> Vec<Execution> {
    let plans = Simd::available().into_iter().map(|simd| Execution::Plan(Instructions { simd, bf16: None }));
    plans.chain([Execution::Plain]).collect()
}

#[test]
fn detector_agrees_with_tensorflow_lite() {
    let golden = golden("detector");
    assert!(golden.len() >= 5);
    for way in ways() {
        let mut networks = support::networks_with(way);
        for (input, golden) in &golden {
            let output = networks.detect(&image(input, DETECTOR_SIDE, -1.0)).unwrap();
            let input = format!("{input}, {way:?}");
            assert_close(&input, golden, &[("boxes", &output.boxes), ("scores", &output.scores)]);
        }
    }
}

#[test]
fn landmark_network_agrees_with_tensorflow_lite() {
    let golden = golden("landmarks");
    assert!(golden.len() >= 5);
    for way in ways() {
        let mut networks = support::networks_with(way);
        let mut persons = 0;
        for (input, golden) in &golden {
            let output = networks.landmarks(&image(input, LANDMARK_SIDE, 0.0)).unwrap();
            persons += usize::from(output.flag > 0.9);
            assert_eq!(output.heatmap.len(), HEATMAP_SIDE * HEATMAP_SIDE * LANDMARK_COUNT);
            assert_close(
                &format!("{input}, {way:?}"),
                golden,
                &[
                    ("landmarks", &output.landmarks),
                    ("flag", &[output.flag]),
                    ("heatmap", &output.heatmap),
                    ("world", &output.world),
                ],
            );
        }
        assert!(persons >= 2, "some inputs should show a person");
    }
}

/// Farthest that a coordinate may be from that of single precision, as a part of the image.
const BF16_TOLERANCE: f32 = 0.002;

/// The largest difference of two lists.
fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|value| value.is_finite()), "each output should be a number");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn bfloat16_keeps_landmarks_and_detections() {
    let mut exact = support::networks_with(Execution::Plain);
    let mut worst = 0f32;
    if let Some(bf16) = Bf16::available() {
        let simd = Simd::best();
        let mut networks = support::networks_with(Execution::Plan(Instructions { simd, bf16: Some(bf16) }));
        for input in ["standing", "arms-up", "noisy"] {
            let crop = image(input, LANDMARK_SIDE, 0.0);
            let [found, expected] =
                [&mut networks, &mut exact].map(|networks| networks.landmarks(&crop).unwrap());
            let places = |landmarks: &[f32]| -> Vec<f32> {
                landmarks.chunks_exact(5).take(33).flat_map(|one| [one[0], one[1]]).collect()
            };
            let apart =
                farthest(&places(&found.landmarks), &places(&expected.landmarks)) / LANDMARK_SIDE as f32;
            let flag = (found.flag - expected.flag).abs();
            println!("{input}, {}: {:.4} % of the image, flag {flag:.4}", bf16.name(), apart * 100.0);
            worst = worst.max(apart / BF16_TOLERANCE).max(flag / 0.01);

            let picture = image(input, DETECTOR_SIDE, -1.0);
            let [found, expected] =
                [&mut networks, &mut exact].map(|networks| networks.detect(&picture).unwrap());
            let best =
                (0..found.scores.len()).max_by(|a, b| expected.scores[*a].total_cmp(&expected.scores[*b]));
            let best = best.unwrap();
            let part = |boxes: &[f32]| boxes[best * 12..][..8].to_vec();
            let apart = farthest(&part(&found.boxes), &part(&expected.boxes)) / DETECTOR_SIDE as f32;
            let score = (found.scores[best] - expected.scores[best]).abs();
            println!("{input}, {}: box {:.4} % of the image, logit {score:.4}", bf16.name(), apart * 100.0);
            assert!(
                apart < BF16_TOLERANCE && score < 0.2,
                "{input}, {}: {apart}, logit {score}",
                bf16.name()
            );
        }
    }
}

#[test]
fn networks_are_shared_by_threads_and_give_the_same_again() {
    fn shared<T: Send + Sync>(_: &T) {}
    let mut networks = support::networks();
    shared(&networks);
    let input = image("standing", LANDMARK_SIDE, 0.0);
    let first = networks.landmarks(&input).unwrap();
    std::thread::scope(|scope| {
        let again: Vec<_> =
            (0..2).map(|_| scope.spawn(|| networks.clone().landmarks(&input).unwrap())).collect();
        assert!(again.into_iter().all(|thread| thread.join().unwrap() == first));
    });
}

#[test]
fn input_of_another_size_is_refused() {
    let error = support::networks().detect(&[0.0; 12]).unwrap_err();
    assert!(
        matches!(error, ModelError::Input { expected, got: 12, .. } if expected == DETECTOR_SIDE * DETECTOR_SIDE * 3)
    );
}

#[test]
fn model_tells_where_its_weights_come_from() {
    let card = support::networks().describe();
    assert_eq!(card.name, "mediapipe-pose-full");
    assert_eq!(card.files, WEIGHT_FILES);
}

#[test]
fn missing_weights_say_how_to_get_them() {
    let error = PoseNetworks::load("/nowhere".as_ref(), &candle_core::Device::Cpu).unwrap_err();
    assert!(error.needs_setup());
    assert!(error.to_string().contains("/nowhere/pose_detection.tflite"), "{error}");
    assert!(error.to_string().contains("kinora models import"), "{error}");
}

/// gemm chooses at run time among the kernels that were compiled in, AVX-512 first, where the processor has it. Without
/// them this does not build: a kernel of AVX-512 makes more of a product at once than one of AVX2.
#[cfg(target_arch = "x86_64")]
const _: () = {
    use gemm_f32::microkernel::{avx512f, fma};
    assert!(avx512f::f32::MR_DIV_N * 16 > fma::f32::MR_DIV_N * 8);
};
