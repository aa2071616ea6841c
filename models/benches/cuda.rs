//! The networks on a GPU: how far from the CPU, and how long for batches of 1, 2, 4 and 8. `make bench-cuda`.
//!
//! `KINORA_BENCH_DEVICE` names another device than cuda:0, and `KINORA_BENCH_ROUNDS` another number of rounds than 500.
#![allow(clippy::print_stdout, reason = "measured figures are what it is for")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use kinora_models::{
    DETECTOR_SIDE, DeviceChoice, LANDMARK_COUNT, LANDMARK_SIDE, LANDMARK_VALUES, PoseNetworks, Precision,
};
use support::inputs::image;

const INPUTS: [&str; 3] = ["standing", "arms-up", "noisy"];

fn main() {
    let open = |choice: DeviceChoice| PoseNetworks::open(&support::weights_dir(), choice, Precision::Auto);
    let told = |name: &str| std::env::var(name).ok();
    let device = told("KINORA_BENCH_DEVICE").map_or(Ok(DeviceChoice::Cuda(0)), |device| device.parse());
    let rounds = told("KINORA_BENCH_ROUNDS").map_or(Ok(500), |rounds| rounds.parse());
    let device = device.unwrap_or_else(|error| panic!("{error}"));
    let rounds: usize = rounds.unwrap_or_else(|error| panic!("KINORA_BENCH_ROUNDS: {error}"));
    let mut gpu = open(device).unwrap_or_else(|error| panic!("{error}"));
    let mut cpu = open(DeviceChoice::Cpu).unwrap_or_else(|error| panic!("{error}"));
    let apart = INPUTS.map(|name| keypoints_apart(&mut gpu, &mut cpu, name)).into_iter().fold(0.0, f32::max);
    println!("keypoints: {:.3} % of the image from the CPU's, 0.2 % allowed", apart * 100.0);
    for batch in [1, 2, 4, 8] {
        let landmarks = vec![image(INPUTS[0], LANDMARK_SIDE, 0.0); batch];
        let faces = vec![image(INPUTS[0], DETECTOR_SIDE, -1.0); batch];
        let landmarks = time(rounds, &landmarks, |inputs| drop(gpu.landmarks_batch(inputs)));
        let faces = time(rounds, &faces, |inputs| drop(gpu.detect_batch(inputs)));
        println!("batch of {batch}: landmarks {landmarks}, detector {faces}");
    }
}

/// The largest difference of a keypoint, as a part of the image.
fn keypoints_apart(gpu: &mut PoseNetworks, cpu: &mut PoseNetworks, name: &str) -> f32 {
    let input = image(name, LANDMARK_SIDE, 0.0);
    let [found, expected] = [gpu, cpu]
        .map(|networks| networks.landmarks(&input).unwrap_or_else(|error| panic!("{error}")).landmarks);
    let places =
        (0..LANDMARK_COUNT).flat_map(|landmark| [0, 1].map(|axis| landmark * LANDMARK_VALUES + axis));
    places.map(|at| (found[at] - expected[at]).abs() / LANDMARK_SIDE as f32).fold(0.0, f32::max)
}

/// Median and 99th percentile of a batch, copies included, in words.
fn time(rounds: usize, inputs: &[Vec<f32>], mut run: impl FnMut(&[&[f32]])) -> String {
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut times: Vec<f64> = (0..rounds.max(1))
        .map(|_| {
            let begin = Instant::now();
            run(&inputs);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    format!("{:.2} ms (p99 {:.2} ms)", times[times.len() / 2], times[times.len() * 99 / 100])
}
