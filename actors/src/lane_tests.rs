//! A lane of a device: requests of its streams go together, and what happens when the device fails.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, System};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::batch::BatchPolicy;
use crate::crew::{ArbiterSource, arbiters, scarce_arbiters};
use crate::domain::Picture;
use crate::inference::{Infer, InferInput, InferenceError, Inferred};
use crate::lanes::{LaneSeat, Lanes};
use crate::ports::{
    Border, Clock, ModelFactory, ModelHealth, ModelInput, ModelOutput, NetworkId, PoseModel, SampleRequest,
};
use crate::testing::{Fuse, GreyPixel, HostClock, SimulatedClock};

/// Longer than any test takes: what is run was gathered, or did not wait.
const FOREVER: Duration = Duration::from_secs(600);
const HANG_AFTER: Duration = Duration::from_secs(60);

/// Takes answers for a stream.
struct Asker(UnboundedSender<Inferred>);

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Inferred> for Asker {
    type Result = ();

    fn handle(&mut self, answer: Inferred, _: &mut Self::Context) {
        self.0.send(answer).unwrap();
    }
}

/// A device that writes down its batches, answers with what it was given, and fails while its fuse burns.
#[derive(Clone, Default)]
struct Device {
    batches: Arc<Mutex<Vec<usize>>>,
    fuse: Fuse,
    /// Whoever holds it keeps the device at its batch.
    gate: Arc<Mutex<()>>,
    /// It does not fail with so few requests.
    spares: usize,
    is_lost: bool,
}

impl PoseModel for Device {
    fn infer(&mut self, network: NetworkId, input: &[f32]) -> Result<ModelOutput, String> {
        self.infer_batch(network, &[input]).map(|mut outputs| outputs.remove(0))
    }

    fn infer_batch(&mut self, _: NetworkId, inputs: &[&[f32]]) -> Result<Vec<ModelOutput>, String> {
        drop(self.gate.lock().unwrap());
        if inputs.len() > self.spares && self.fuse.burns() {
            return Err("the device fails, as the test asked".into());
        }
        self.batches.lock().unwrap().push(inputs.len());
        Ok(inputs.iter().map(|input| ModelOutput(vec![input.to_vec()])).collect())
    }

    /// Regions are answered with the side of their square.
    fn infer_regions(&mut self, _: NetworkId, inputs: &[ModelInput<'_>]) -> Result<Vec<ModelOutput>, String> {
        self.batches.lock().unwrap().push(inputs.len());
        let answer = |input: &ModelInput<'_>| match input {
            ModelInput::Sampled(input) => ModelOutput(vec![input.to_vec()]),
            ModelInput::Region(_, request) => ModelOutput(vec![vec![request.side]]),
        };
        Ok(inputs.iter().map(answer).collect())
    }

    fn health(&mut self) -> ModelHealth {
        if self.is_lost { ModelHealth::Lost } else { ModelHealth::Broken }
    }
}

fn lanes(device: &Device, deadline: Duration, fatal: &Arc<AtomicU32>) -> Arc<Lanes> {
    let (device, fatal) = (device.clone(), Arc::clone(fatal));
    let model: ModelFactory = Arc::new(move || Box::new(device.clone()));
    let policy = BatchPolicy { most: 8, deadline };
    let told = Box::new(move || {
        fatal.fetch_add(1, Ordering::AcqRel);
    });
    Lanes::gathering(1, model, policy, Arc::new(clock()), HANG_AFTER, told)
}

/// The same time for lanes and streams.
fn clock() -> HostClock {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    HostClock(*START)
}

/// A stream on a lane.
struct Stream {
    seat: LaneSeat,
    asker: actix::Addr<Asker>,
    answers: UnboundedReceiver<Inferred>,
}

impl Stream {
    fn new(lanes: &Arc<Lanes>) -> Self {
        let (sender, answers) = unbounded_channel();
        Self { seat: lanes.pin(), asker: Asker(sender).start(), answers }
    }

    fn ask(&self, value: f32) {
        self.ask_of(InferInput::Sampled(vec![value]));
    }

    fn ask_of(&self, input: InferInput) {
        let request =
            Infer::new((1, clock().monotonic_us()), NetworkId(0), input, self.asker.clone().recipient());
        self.seat.worker().unwrap().0.try_send(request).unwrap();
    }

    async fn answer(&mut self) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.answers.recv().await.unwrap().output.map(|ModelOutput(tensors)| tensors)
    }
}

/// A stream whose request the device is at, until the guard is dropped.
fn hold<'a>(device: &'a Device, stream: &Stream, lanes: &Lanes) -> MutexGuard<'a, ()> {
    let held = device.gate.lock().unwrap();
    stream.ask(-1.0);
    while !lanes.loads()[0].1 {
        std::thread::yield_now();
    }
    held
}

#[test]
fn requests_that_came_while_the_device_was_busy_go_to_it_together_and_come_back_apart() {
    System::new().block_on(async {
        let device = Device::default();
        let lanes = lanes(&device, FOREVER, &Arc::default());
        let (mut first, mut streams) = (Stream::new(&lanes), Vec::new());
        streams.resize_with(3, || Stream::new(&lanes));
        let held = hold(&device, &first, &lanes);
        (0_u8..).zip(&streams).for_each(|(number, stream)| stream.ask(f32::from(number)));
        drop(held);
        assert_eq!(first.answer().await, Ok(vec![vec![-1.0]]));
        for (number, stream) in (0_u8..).zip(&mut streams) {
            assert_eq!(stream.answer().await, Ok(vec![vec![f32::from(number)]]));
        }
        assert_eq!(*device.batches.lock().unwrap(), [1, 3]);
    });
}

#[test]
fn pictures_that_the_device_samples_itself_go_with_sampled_ones_and_are_let_go_with_the_answer() {
    System::new().block_on(async {
        let device = Device::default();
        let lanes = lanes(&device, FOREVER, &Arc::default());
        let (mut first, mut streams) = (Stream::new(&lanes), Vec::new());
        streams.resize_with(2, || Stream::new(&lanes));
        let held = hold(&device, &first, &lanes);
        let picture: Arc<dyn Picture> = Arc::new(GreyPixel);
        let request = SampleRequest {
            centre_x: 0.0,
            centre_y: 0.0,
            side: 7.0,
            angle: 0.0,
            size: 1,
            border: Border::Zero,
            range: (0.0, 1.0),
        };
        streams[0].ask_of(InferInput::Region(Arc::clone(&picture), request));
        streams[1].ask(2.0);
        drop(held);
        assert_eq!(first.answer().await, Ok(vec![vec![-1.0]]));
        for (stream, expected) in streams.iter_mut().zip([7.0, 2.0]) {
            assert_eq!(stream.answer().await, Ok(vec![vec![expected]]));
        }
        assert_eq!((*device.batches.lock().unwrap()).clone(), [1, 2]);
        assert_eq!(Arc::strong_count(&picture), 1);
    });
}

#[test]
fn a_request_that_nobody_joins_is_run_at_its_deadline() {
    System::new().block_on(async {
        let device = Device::default();
        let lanes = lanes(&device, Duration::from_millis(4), &Arc::default());
        let (mut asks, mut pauses) = (Stream::new(&lanes), Stream::new(&lanes));
        // Two requests of one time: the next one is expected at any moment.
        for _ in 0..2 {
            pauses.ask(2.0);
            assert_eq!(pauses.answer().await, Ok(vec![vec![2.0]]));
        }
        asks.ask(1.0);
        assert_eq!(asks.answer().await, Ok(vec![vec![1.0]]));
    });
}

#[test]
fn a_stream_that_only_holds_a_seat_is_not_waited_for() {
    System::new().block_on(async {
        let device = Device::default();
        let lanes = lanes(&device, FOREVER, &Arc::default());
        let (mut asks, _silent) = (Stream::new(&lanes), Stream::new(&lanes));
        asks.ask(1.0);
        assert_eq!(asks.answer().await, Ok(vec![vec![1.0]]));
    });
}

#[test]
fn a_worker_whose_device_fails_is_replaced_and_its_requests_say_so() {
    System::new().block_on(async {
        let device = Device { fuse: Fuse::of(1), spares: 1, ..Device::default() };
        let fatal = Arc::default();
        let lanes = lanes(&device, FOREVER, &fatal);
        let (mut first, mut streams) = (Stream::new(&lanes), Vec::new());
        streams.resize_with(2, || Stream::new(&lanes));
        let held = hold(&device, &first, &lanes);
        streams.iter().for_each(|stream| stream.ask(1.0));
        drop(held);
        assert_eq!(first.answer().await, Ok(vec![vec![-1.0]]));
        for stream in &mut streams {
            assert_eq!(stream.answer().await, Err(InferenceError::WorkerLost { begun: true }));
        }
        // The worker ends after its requests have told.
        while first.seat.generation() == 1 {
            actix::clock::sleep(Duration::from_millis(1)).await;
            let _ = first.seat.worker();
        }
        first.ask(2.0);
        assert_eq!(first.answer().await, Ok(vec![vec![2.0]]));
        assert_eq!((lanes.losses().0, fatal.load(Ordering::Acquire)), (1, 0));
    });
}

#[test]
fn a_device_that_is_lost_for_the_process_ends_it_once() {
    System::new().block_on(async {
        let device = Device { fuse: Fuse::of(10), is_lost: true, ..Device::default() };
        let fatal = Arc::default();
        let lanes = lanes(&device, FOREVER, &fatal);
        let mut stream = Stream::new(&lanes);
        stream.ask(1.0);
        assert_eq!(stream.answer().await, Err(InferenceError::WorkerLost { begun: true }));
        lanes.check();
        lanes.check();
        assert_eq!(fatal.load(Ordering::Acquire), 1);
    });
}

/// A lane by this clock, whose workers get these Arbiters.
fn lane_by(clock: &Arc<SimulatedClock>, device: &Device, arbiters: ArbiterSource) -> Arc<Lanes> {
    let device = device.clone();
    let model: ModelFactory = Arc::new(move || Box::new(device.clone()));
    let never = Box::new(|| panic!("nothing should be fatal"));
    Lanes::with_arbiters(1, model, BatchPolicy::ALONE, clock.clone(), HANG_AFTER, never, arbiters)
}

#[test]
fn a_worker_is_not_abandoned_for_the_time_in_which_the_whole_process_stood_still() {
    System::new().block_on(async {
        let (clock, device) = (Arc::new(SimulatedClock::default()), Device::default());
        let lanes = lane_by(&clock, &device, arbiters());
        let mut stream = Stream::new(&lanes);
        lanes.check();
        let held = hold(&device, &stream, &lanes);
        clock.advance(Duration::from_secs(3_600));
        lanes.check();
        assert_eq!(lanes.losses(), (0, 0));
        drop(held);
        assert_eq!(stream.answer().await, Ok(vec![vec![-1.0]]));
    });
}

#[test]
fn workers_that_hang_and_come_back_late_are_let_go_however_many_they_are() {
    System::new().block_on(async {
        let (clock, device) = (Arc::new(SimulatedClock::default()), Device::default());
        let lanes = lane_by(&clock, &device, arbiters());
        lanes.check();
        for lost in 1..=4 {
            let mut stream = Stream::new(&lanes);
            let held = hold(&device, &stream, &lanes);
            while lanes.losses().1 < lost {
                clock.advance(Duration::from_millis(250));
                lanes.check();
            }
            assert_eq!(lanes.threads().hanging(), 1);
            drop(held);
            // It answers, late, and is gone.
            assert_eq!(stream.answer().await, Ok(vec![vec![-1.0]]));
            while lanes.threads().hanging() > 0 {
                actix::clock::sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

#[test]
fn a_worker_without_a_thread_is_built_at_the_next_request() {
    System::new().block_on(async {
        let (clock, device) = (Arc::new(SimulatedClock::default()), Device::default());
        let lanes = lane_by(&clock, &device, scarce_arbiters(|number| number == 1));
        let mut stream = Stream::new(&lanes);
        let refused = stream.seat.worker().unwrap_err();
        assert!(refused.to_string().starts_with("no thread for the inference worker"), "{refused}");
        stream.ask(1.0);
        assert_eq!(stream.answer().await, Ok(vec![vec![1.0]]));
        assert_eq!(lanes.losses(), (0, 0));
    });
}
