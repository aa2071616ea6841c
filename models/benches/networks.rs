//! Median time of one forward of each network, one stream: `cargo bench -p kinora-models`.
//!
//! Products run on one thread, as in a lane; with `KINORA_BENCH_THREADS=all` on as many as candle would take (see
//! `RAYON_NUM_THREADS`). The images show a person, since numbers that underflow would make another benchmark.
#![allow(clippy::print_stdout, reason = "a bench's output is its purpose")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use kinora_kernels::Simd;
use kinora_models::{DETECTOR_SIDE, LANDMARK_SIDE, one_thread_per_product};
use support::inputs::image;

/// Forwards before and during the measurement.
const WARM_UP: usize = 10;
const ROUNDS: usize = 100;

fn main() {
    let networks = support::networks();
    let (person, crop) = (image("standing", DETECTOR_SIDE, -1.0), image("standing", LANDMARK_SIDE, 0.0));
    let all = std::env::var_os("KINORA_BENCH_THREADS").is_some_and(|threads| threads == "all");
    if !all {
        one_thread_per_product();
    }
    let threads = if all { candle_core::utils::get_num_threads() } else { 1 };
    println!("kernels: {}, threads of a product: {threads}", Simd::best().name());
    report("detector", || drop(networks.detect(&person).expect("the detector should run")));
    report("landmarks", || drop(networks.landmarks(&crop).expect("the landmark network should run")));
    product();
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
    for _ in 0..WARM_UP {
        timed();
    }
    let ran = thread_time();
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| timed()).collect();
    let ran = (thread_time() - ran) / ROUNDS as u32;
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, best) = (times[ROUNDS / 2], times[0]);
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
