//! Median time of one forward of each network, one stream: `cargo bench -p kinora-models`.
//!
//! Products run on one thread, as in a lane; with `KINORA_BENCH_THREADS=all` on as many as candle would take (see
//! `RAYON_NUM_THREADS`). `KINORA_BENCH_INSTRUCTIONS=avx2` (or plain, avx512, avx512+amx-bf16) measures the plan for these
//! alone, `KINORA_BENCH_LAYERS=1` tells the time of each layer, `KINORA_BENCH_ROUNDS` says how often. With
//! `KINORA_BENCH_ONCE=detector` (or landmarks) that network runs once for callgrind, which has no AVX-512: name
//! instructions too. The images show a person, since numbers that underflow would make another benchmark.
#![allow(clippy::print_stdout, reason = "a bench's output is its purpose")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use kinora_kernels::{Bf16, Simd};
use kinora_models::{
    DETECTOR_SIDE, Execution, Instructions, LANDMARK_SIDE, PoseNetwork, PoseNetworks, one_thread_per_product,
};
use support::inputs::image;

/// Most forwards before the measurement, and forwards in it, unless `KINORA_BENCH_ROUNDS` says how many.
const WARM_UP: usize = 10;
const ROUNDS: usize = 100;

fn rounds() -> usize {
    let asked = std::env::var("KINORA_BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    asked.unwrap_or(ROUNDS).max(1)
}

fn main() {
    let all = std::env::var_os("KINORA_BENCH_THREADS").is_some_and(|threads| threads == "all");
    if !all {
        one_thread_per_product();
    }
    let threads = if all { candle_core::utils::get_num_threads() } else { 1 };
    println!("kernels: {}, threads of candle's products: {threads}", Simd::best().name());
    let (person, crop) = (image("standing", DETECTOR_SIDE, -1.0), image("standing", LANDMARK_SIDE, 0.0));
    if let Some(name) = std::env::var("KINORA_BENCH_ONCE").ok().filter(|name| !name.is_empty()) {
        let way = *instructions().first().expect("instructions that this processor has");
        let mut networks = support::networks_with(Execution::Plan(way));
        match name.as_str() {
            "detector" => detect_once(&mut networks, &person),
            "landmarks" => landmarks_once(&mut networks, &crop),
            _ => panic!("KINORA_BENCH_ONCE={name}: allowed are detector and landmarks"),
        }
        return;
    }
    let chosen = std::env::var_os("KINORA_BENCH_INSTRUCTIONS").is_some();
    let mut ways = Vec::new();
    if !chosen {
        ways.push(("plain graph".to_owned(), Execution::Plain));
    }
    ways.extend(
        instructions().into_iter().map(|simd| (format!("plan {}", simd.name()), Execution::Plan(simd))),
    );
    for (way, execution) in ways {
        let mut networks = support::networks_with(execution);
        let work =
            |network| 2.0 * networks.layers(network).iter().map(|layer| layer.products).sum::<usize>() as f64;
        let [detector, landmarks] = [PoseNetwork::Detector, PoseNetwork::Landmarks].map(work);
        let time = report(&format!("detector, {way}"), || {
            drop(networks.detect(&person).expect("the detector should run"))
        });
        rate(detector, time);
        let time = report(&format!("landmarks, {way}"), || {
            drop(networks.landmarks(&crop).expect("the landmark network should run"))
        });
        rate(landmarks, time);
        if std::env::var_os("KINORA_BENCH_LAYERS").is_some() {
            profile(&mut networks, PoseNetwork::Detector, &person);
            profile(&mut networks, PoseNetwork::Landmarks, &crop);
        }
    }
    if !chosen {
        product();
    }
}

/// One forward of the detector: the name that callgrind starts to count at.
#[inline(never)]
fn detect_once(networks: &mut PoseNetworks, input: &[f32]) {
    drop(networks.detect(input).expect("the detector should run"));
}

/// One forward of the landmark network, likewise.
#[inline(never)]
fn landmarks_once(networks: &mut PoseNetworks, input: &[f32]) {
    drop(networks.landmarks(input).expect("the landmark network should run"));
}

/// Instructions to measure: the best ones in single precision and all of bfloat16, or those that
/// `KINORA_BENCH_INSTRUCTIONS` names (separated by commas).
fn instructions() -> Vec<Instructions> {
    let single = Simd::available().into_iter().map(|simd| Instructions { simd, bf16: None });
    let half =
        Bf16::available().into_iter().map(|bf16| Instructions { simd: Simd::best(), bf16: Some(bf16) });
    let names =
        std::env::var_os("KINORA_BENCH_INSTRUCTIONS").map(|names| names.to_string_lossy().into_owned());
    let wanted = |each: &Instructions| match &names {
        Some(names) => names.split(',').any(|name| name == each.name()),
        None => each.simd == Simd::best(),
    };
    single.chain(half).filter(wanted).collect()
}

fn rate(work: f64, time: Duration) {
    if work > 0.0 {
        println!("  {:.0} MFLOP, {:.1} GFLOP/s", work / 1e6, work / time.as_secs_f64() / 1e9);
    }
}

/// Time of each layer of a plan, the least of all rounds, the longest first.
fn profile(networks: &mut PoseNetworks, network: PoseNetwork, input: &[f32]) {
    let cards = networks.layers(network);
    let mut best = vec![Duration::MAX; cards.len()];
    for _ in 0..rounds() {
        let mut times = vec![Duration::ZERO; cards.len()];
        let mut before = Instant::now();
        let watch = |layer: usize| {
            let now = Instant::now();
            times[layer] += now - before;
            before = now;
        };
        networks.watch(network, input, watch).expect("the network should run");
        best.iter_mut().zip(times).for_each(|(best, time)| *best = (*best).min(time));
    }
    let mut order: Vec<usize> = (0..cards.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(best[*index]));
    for index in order.into_iter().filter(|index| best[*index] < Duration::MAX) {
        let (card, us) = (&cards[index], best[index].as_secs_f64() * 1e6);
        println!("  {us:7.1} us {:6.1} GFLOP/s  {index:3} {}", 2e-3 * card.products as f64 / us, card.name);
    }
}

/// Speed of the matrix product alone, which shows whether gemm uses its widest kernels.
fn product() {
    let (m, k, n) = (1024, 512, 512);
    let random =
        |shape| Tensor::rand(-1f32, 1f32, shape, &Device::Cpu).expect("a random matrix should be made");
    let (a, b) = (random((m, k)), random((k, n)));
    let time = report("product of 1024x512 and 512x512", || drop(a.matmul(&b).expect("matrices should fit")));
    println!("  {:.0} GFLOP/s", 2.0 * (m * k * n) as f64 / time.as_secs_f64() / 1e9);
}

/// Runs `work` and prints the median and the best of its time, and how long this thread really ran in a round: the
/// figure to go by on a machine that others use too. Gives the median.
fn report(name: &str, mut work: impl FnMut()) -> Duration {
    let mut timed = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let rounds = rounds();
    for _ in 0..WARM_UP.min(rounds) {
        timed();
    }
    let ran = thread_time();
    let mut times: Vec<Duration> = (0..rounds).map(|_| timed()).collect();
    let ran = (thread_time() - ran) / rounds as u32;
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, best) = (times[rounds / 2], times[0]);
    println!(
        "{name}: median {:.2} ms, best {:.2} ms, on the processor {:.2} ms",
        ms(median),
        ms(best),
        ms(ran)
    );
    median
}

/// Time that this thread has run, as the kernel counts it; zero where it does not say (only Linux does).
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ran = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ran.unwrap_or(0))
}
