//! Time of sampling a 1080p frame for the networks, one thread: `cargo bench -p kinora-kernels`.
//!
//! Each case is timed with the frame in the caches and with a frame that was not touched for long, as after a decoder that
//! runs on another core. `KINORA_BENCH_SIMD=plain|avx2|avx512` chooses the instructions. `KINORA_BENCH_ONCE=CASE` runs one
//! case twenty times without timing it, for callgrind.
#![allow(clippy::print_stdout, reason = "a bench's output is its purpose")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use kinora_kernels::Simd;
use kinora_kernels::sample::{
    Border, Image, Layout, Matrix, Plane, Range, Rotation, SampleOutput, SampleRegion, Sampling, sample_with,
};

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
const WARM_UP: usize = 5;
/// Rounds of a case, if they do not take longer than this.
const ROUNDS: usize = 300;
const LONGEST: Duration = Duration::from_secs(2);
/// Frames in the cold round: 50 MB, about what a decoder keeps in turn.
const COLD_FRAMES: usize = 16;

struct Case {
    name: &'static str,
    layout: Layout,
    region: SampleRegion,
    output: SampleOutput,
}

fn main() {
    let simd = chosen();
    let cases = cases();
    if let Some(name) = std::env::var("KINORA_BENCH_ONCE").ok().filter(|name| !name.is_empty()) {
        let case = cases.iter().find(|case| case.name == name).expect("a case of that name");
        let frame = Frame::new(case.layout, 1);
        let mut out = case.buffer();
        (0..20).for_each(|_| case.sample(simd, &frame, &mut out));
        return;
    }
    println!("kernels: {}", simd.name());
    for case in &cases {
        let frames: Vec<Frame> = (0..COLD_FRAMES as u32).map(|seed| Frame::new(case.layout, seed)).collect();
        report(&format!("{} hot", case.name), case, simd, &frames[..1]);
        report(&format!("{} cold", case.name), case, simd, &frames);
    }
}

fn chosen() -> Simd {
    let wanted = std::env::var("KINORA_BENCH_SIMD").unwrap_or_default();
    let found = Simd::available().into_iter().find(|simd| simd.name() == wanted);
    assert!(found.is_some() || wanted.is_empty(), "KINORA_BENCH_SIMD={wanted} is not on this processor");
    found.unwrap_or(Simd::best())
}

fn cases() -> Vec<Case> {
    let planar = Layout::Planar { sub_x: 1, sub_y: 1, bits: 8 };
    // A person in a 1080p frame, leaning a little; the whole frame in its letterbox.
    let person = SampleRegion { centre_x: 930.0, centre_y: 560.0, side: 880.0, angle: 0.12 };
    let frame = SampleRegion { centre_x: 960.0, centre_y: 540.0, side: 1920.0, angle: 0.0 };
    let landmarks = SampleOutput {
        size: 256,
        border: Border::Replicate,
        sampling: Sampling::MediaPipe,
        range: (0.0, 1.0),
    };
    let detector = SampleOutput { size: 224, border: Border::Zero, range: (-1.0, 1.0), ..landmarks };
    let antialiased = SampleOutput { sampling: Sampling::Antialiased, ..landmarks };
    let case = |name, layout, region, output| Case { name, layout, region, output };
    vec![
        case("yuv420p to 256", planar, person, landmarks),
        case("yuv420p to 224", planar, frame, detector),
        case("nv12 to 256", Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits: 8 }, person, landmarks),
        case("p010 to 256", Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits: 10 }, person, landmarks),
        case("rgb24 to 256", Layout::Rgb24, person, landmarks),
        case("yuv420p to 256 antialiased", planar, person, antialiased),
    ]
}

impl Case {
    fn buffer(&self) -> Vec<f32> {
        vec![0.0; self.output.size * self.output.size * 3]
    }

    fn sample(&self, simd: Simd, frame: &Frame, out: &mut [f32]) {
        let image = frame.image(self.layout);
        sample_with(simd, &image, &self.region, &self.output, black_box(out))
            .expect("the frame should be whole");
    }
}

/// Planes of a frame, without padding.
struct Frame {
    planes: Vec<(Vec<u8>, usize)>,
}

impl Frame {
    fn new(layout: Layout, seed: u32) -> Self {
        let (half_width, half_height) = (WIDTH / 2, HEIGHT / 2);
        let sizes: &[(usize, usize)] = match layout {
            Layout::Planar { .. } => &[(WIDTH, HEIGHT), (half_width, half_height), (half_width, half_height)],
            Layout::SemiPlanar { bits: 8, .. } => &[(WIDTH, HEIGHT), (WIDTH, half_height)],
            Layout::SemiPlanar { .. } => &[(WIDTH * 2, HEIGHT), (WIDTH * 2, half_height)],
            Layout::Rgb24 => &[(WIDTH * 3, HEIGHT)],
            Layout::Gray8 => &[(WIDTH, HEIGHT)],
        };
        let fill =
            |length: usize| (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24 ^ seed) as u8);
        let planes = sizes.iter().map(|&(stride, rows)| (fill(stride * rows).collect(), stride));
        Self { planes: planes.collect() }
    }

    fn image(&self, layout: Layout) -> Image<'_> {
        Image {
            width: WIDTH as u32,
            height: HEIGHT as u32,
            layout,
            range: Range::Limited,
            matrix: Matrix::Bt709,
            rotation: Rotation::None,
            planes: std::array::from_fn(|index| {
                self.planes.get(index).map(|(data, stride)| Plane { data, stride: *stride })
            }),
        }
    }
}

/// Prints the median and the best time, and how long this thread really ran in a round: the figure to go by on a machine
/// that others use too. The frames take turns.
fn report(name: &str, case: &Case, simd: Simd, frames: &[Frame]) {
    let mut out = case.buffer();
    let mut next = frames.iter().cycle();
    let mut timed = || {
        let frame = next.next().expect("there should be frames");
        let start = Instant::now();
        case.sample(simd, frame, &mut out);
        start.elapsed()
    };
    for _ in 0..WARM_UP {
        timed();
    }
    let (ran, start) = (thread_time(), Instant::now());
    let rounds = (0..ROUNDS).take_while(|_| start.elapsed() < LONGEST);
    let mut times: Vec<Duration> = rounds.map(|_| timed()).collect();
    let ran = (thread_time() - ran) / times.len() as u32;
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, best) = (ms(times[times.len() / 2]), ms(times[0]));
    println!("{name}: median {median:.3} ms, best {best:.3} ms, on the processor {:.3} ms", ms(ran));
}

/// Time that this thread has run, as the kernel counts it; zero where it does not say (only Linux does).
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ran = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ran.unwrap_or(0))
}
