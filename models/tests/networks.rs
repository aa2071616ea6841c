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

fn assert_close(input: &str, golden: &Value, outputs: &[(&str, &[f32])], tolerance: f64) {
    for (name, found) in outputs {
        let apart = difference(&golden[name], found);
        assert!(apart < tolerance, "{input}: {name} is {apart:.1e} of its range off");
    }
}

#[test]
#[should_panic(expected = "each output should be a number")]
fn outputs_that_are_no_numbers_do_not_agree_with_anything() {
    let golden = serde_json::json!({ "len": 2, "sum": 0.0, "min": -1.0, "max": 1.0, "values": [-1.0, 1.0] });
    assert_close(
        "nothing",
        &serde_json::json!({ "scores": golden }),
        &[("scores", &[f32::NAN, f32::NAN])],
        TOLERANCE,
    );
}

/// The same for products of split bfloat16 numbers: a quarter of what landmarks may differ by.
const SPLIT_TOLERANCE: f64 = 5e-4;

fn tolerance(way: Execution) -> f64 {
    let split = matches!(way, Execution::Plan(Instructions { bf16: Some(_), .. }));
    if split { SPLIT_TOLERANCE } else { TOLERANCE }
}

/// Every way in which this machine can run the networks.
fn ways() -> Vec<Execution> {
    let single = Simd::available().into_iter().map(|simd| Instructions { simd, bf16: None });
    let split = Bf16::available().map(|bf16| Instructions { simd: Simd::best(), bf16: Some(bf16) });
    single.chain(split).map(Execution::Plan).chain([Execution::Plain]).collect()
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
            assert_close(
                &input,
                golden,
                &[("boxes", &output.boxes), ("scores", &output.scores)],
                tolerance(way),
            );
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
                tolerance(way),
            );
        }
        assert!(persons >= 2, "some inputs should show a person");
    }
}

/// The largest difference of two outputs, as a part of the range of the second.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().chain(expected).all(|value| value.is_finite()), "each output should be a number");
    let [low, high] =
        expected.iter().fold([f32::MAX, f32::MIN], |[low, high], value| [low.min(*value), high.max(*value)]);
    let range = if expected.len() == 1 { 1.0 } else { high - low };
    found.iter().zip(expected).map(|(a, b)| (a - b).abs() / range).fold(0.0, f32::max)
}

/// Pictures that no golden number was made for: figures turned upside down, with noise of another amount each.
fn crop(seed: usize, side: usize, low: f64) -> Vec<f32> {
    let figure = image(["standing", "arms-up", "noisy"][seed % 3], side, low);
    let noise = image("noise", side, low);
    let part = 0.1 * (seed + 1) as f32;
    figure.iter().rev().zip(&noise[..]).map(|(figure, noise)| figure * (1.0 - part) + noise * part).collect()
}

#[test]
fn every_plan_agrees_with_the_plain_graph() {
    let mut plain = support::networks_with(Execution::Plain);
    for way in ways() {
        let mut networks = support::networks_with(way);
        for seed in 0..6 {
            let input = crop(seed, LANDMARK_SIDE, 0.0);
            let [found, expected] = [&mut networks, &mut plain].map(|all| all.landmarks(&input).unwrap());
            let outputs = [
                apart(&found.landmarks, &expected.landmarks),
                apart(&[found.flag], &[expected.flag]),
                apart(&found.heatmap, &expected.heatmap),
                apart(&found.world, &expected.world),
            ];
            let input = crop(seed, DETECTOR_SIDE, -1.0);
            let [found, expected] = [&mut networks, &mut plain].map(|all| all.detect(&input).unwrap());
            let more = [apart(&found.boxes, &expected.boxes), apart(&found.scores, &expected.scores)];
            let worst = outputs.into_iter().chain(more).fold(0.0, f32::max);
            println!("{way:?}, crop {seed}: {worst:.1e} of the range");
            assert!(f64::from(worst) < tolerance(way), "{way:?}, crop {seed}: {outputs:?} {more:?}");
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
