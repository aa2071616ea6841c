//! A lane of a device: requests of its streams go together, and what happens when the device fails.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, System};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::batch::BatchPolicy;
use crate::inference::{Infer, InferenceError, Inferred};
use crate::lanes::{LaneSeat, Lanes};
use crate::ports::{ModelFactory, ModelHealth, ModelOutput, NetworkId, PoseModel};
use crate::testing::{Fuse, HostClock};

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
    is_lost: bool,
}

impl PoseModel for Device {
    fn infer(&mut self, network: NetworkId, input: &[f32]) -> Result<ModelOutput, String> {
        self.infer_batch(network, &[input]).map(|mut outputs| outputs.remove(0))
    }

    fn infer_batch(&mut self, _: NetworkId, inputs: &[&[f32]]) -> Result<Vec<ModelOutput>, String> {
        if self.fuse.burns() {
            return Err("the device fails, as the test asked".into());
        }
        self.batches.lock().unwrap().push(inputs.len());
        Ok(inputs.iter().map(|input| ModelOutput(vec![input.to_vec()])).collect())
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
    Lanes::gathering(1, model, policy, Arc::new(HostClock(Instant::now())), HANG_AFTER, told)
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
        let request = Infer::new(1, NetworkId(0), vec![value], self.asker.clone().recipient());
        self.seat.worker().0.try_send(request).unwrap();
    }

    async fn answer(&mut self) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.answers.recv().await.unwrap().output.map(|ModelOutput(tensors)| tensors)
    }
}

#[test]
fn requests_of_all_streams_of_a_lane_go_to_the_device_together_and_come_back_apart() {
    System::new().block_on(async {
        let device = Device::default();
        let lanes = lanes(&device, FOREVER, &Arc::default());
        let mut streams: Vec<Stream> = (0..3).map(|_| Stream::new(&lanes)).collect();
        (0_u8..).zip(&streams).for_each(|(number, stream)| stream.ask(f32::from(number)));
        for (number, stream) in (0_u8..).zip(&mut streams) {
            assert_eq!(stream.answer().await, Ok(vec![vec![f32::from(number)]]));
        }
        assert_eq!(*device.batches.lock().unwrap(), [3]);
        // A stream that left is not waited for.
        streams.pop();
        streams.iter().for_each(|stream| stream.ask(5.0));
        for stream in &mut streams {
            assert_eq!(stream.answer().await, Ok(vec![vec![5.0]]));
        }
        assert_eq!(*device.batches.lock().unwrap(), [3, 2]);
    });
}

#[test]
fn a_request_that_nobody_joins_is_run_at_its_deadline() {
    System::new().block_on(async {
        let device = Device::default();
        let lanes = lanes(&device, Duration::from_millis(4), &Arc::default());
        let (mut asks, _silent) = (Stream::new(&lanes), Stream::new(&lanes));
        asks.ask(1.0);
        assert_eq!(asks.answer().await, Ok(vec![vec![1.0]]));
    });
}

#[test]
fn a_worker_whose_device_fails_is_replaced_and_its_requests_say_so() {
    System::new().block_on(async {
        let (device, fatal) = (Device { fuse: Fuse::of(1), ..Device::default() }, Arc::default());
        let lanes = lanes(&device, FOREVER, &fatal);
        let mut streams: Vec<Stream> = (0..2).map(|_| Stream::new(&lanes)).collect();
        streams.iter().for_each(|stream| stream.ask(1.0));
        for stream in &mut streams {
            assert_eq!(stream.answer().await, Err(InferenceError::WorkerLost { begun: true }));
        }
        // The worker ends after its requests have told.
        while streams[0].seat.generation() == 1 {
            actix::clock::sleep(Duration::from_millis(1)).await;
            let _ = streams[0].seat.worker();
        }
        streams.iter().for_each(|stream| stream.ask(2.0));
        for stream in &mut streams {
            assert_eq!(stream.answer().await, Ok(vec![vec![2.0]]));
        }
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
