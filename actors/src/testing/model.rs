//! Models, samplers and a tracker that count their calls down to a misdeed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::domain::{Picture, Size};
use crate::ports::{Border, ModelOutput, NetworkId, PoseModel, SampleRequest, Sampler, Tracker, TrackerStep};
use crate::testing::Gate;

/// Misdeeds that are left to all parts that share it.
#[derive(Clone, Debug, Default)]
pub struct Fuse(Arc<AtomicU32>);

impl Fuse {
    /// So many misdeeds.
    #[must_use]
    pub fn of(misdeeds: u32) -> Self {
        Self(Arc::new(AtomicU32::new(misdeeds)))
    }

    /// Whether this call is a misdeed; one less is left then.
    #[must_use]
    pub fn burns(&self) -> bool {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// So many more.
    pub fn relight(&self, misdeeds: u32) {
        self.0.fetch_add(misdeeds, Ordering::AcqRel);
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// What a part does when it misbehaves.
#[derive(Clone, Debug)]
pub enum Misdeed {
    /// It panics.
    Panic,
    /// It returns an error.
    Refuse,
    /// It does not come back for so long, whatever anyone asks; then it works.
    Stall(Duration),
    /// The same until the gate opens.
    Hang(Gate),
}

impl Misdeed {
    fn commit(&self, who: &str) -> Result<(), String> {
        match self {
            Self::Panic => panic!("the {who} panics, as the test asked"),
            Self::Refuse => Err(format!("the {who} refuses, as the test asked")),
            Self::Stall(time) => {
                std::thread::sleep(*time);
                Ok(())
            }
            Self::Hang(gate) => {
                gate.pass();
                Ok(())
            }
        }
    }
}

/// A model that works for some calls and misbehaves at each one after them.
pub struct MoodyModel {
    /// Calls left before it misbehaves; `None`: never.
    pub patience: Option<u32>,
    /// What it does then.
    pub misdeed: Misdeed,
    /// Time that each call takes.
    pub takes: Duration,
}

impl PoseModel for MoodyModel {
    fn infer(&mut self, _: NetworkId, _: &[f32]) -> Result<ModelOutput, String> {
        std::thread::sleep(self.takes);
        match self.patience.as_mut() {
            None => {}
            Some(0) => self.misdeed.commit("model")?,
            Some(left) => *left -= 1,
        }
        Ok(ModelOutput::default())
    }
}

/// A model that misbehaves while its fuse burns; a fresh value with the same fuse goes on where this one failed.
#[derive(Clone, Debug)]
pub struct FusedModel {
    /// Misdeeds left.
    pub fuse: Fuse,
    /// What they are.
    pub misdeed: Misdeed,
    /// Only inputs that begin with this value make it misbehave; `None`: all.
    pub only_at: Option<f32>,
}

impl PoseModel for FusedModel {
    fn infer(&mut self, _: NetworkId, input: &[f32]) -> Result<ModelOutput, String> {
        let is_meant = self.only_at.is_none() || self.only_at == input.first().copied();
        if is_meant && self.fuse.burns() {
            self.misdeed.commit("model")?;
        }
        Ok(ModelOutput::default())
    }
}

/// Fills the input with nothing.
pub struct EmptySampler;

impl Sampler for EmptySampler {
    fn sample(&mut self, _: &dyn Picture, _: &SampleRequest, out: &mut Vec<f32>) -> Result<(), String> {
        out.clear();
        Ok(())
    }
}

/// Fills the input with one value, by which a [`FusedModel`] knows the stream.
pub struct MarkedSampler(pub f32);

impl Sampler for MarkedSampler {
    fn sample(&mut self, _: &dyn Picture, _: &SampleRequest, out: &mut Vec<f32>) -> Result<(), String> {
        out.clear();
        out.push(self.0);
        Ok(())
    }
}

/// A sampler that misbehaves while its fuse burns: what happens to it happens to the Preprocessor.
pub struct FusedSampler {
    /// Misdeeds left.
    pub fuse: Fuse,
    /// What they are.
    pub misdeed: Misdeed,
}

impl Sampler for FusedSampler {
    fn sample(&mut self, _: &dyn Picture, _: &SampleRequest, out: &mut Vec<f32>) -> Result<(), String> {
        out.clear();
        if self.fuse.burns() { self.misdeed.commit("sampler") } else { Ok(()) }
    }
}

/// Asks for one inference a frame and finds nobody.
pub struct OneStepTracker;

impl Tracker for OneStepTracker {
    fn begin(&mut self, _: Size, _: i64) -> TrackerStep {
        let request = SampleRequest {
            centre_x: 0.0,
            centre_y: 0.0,
            side: 1.0,
            angle: 0.0,
            size: 1,
            border: Border::Zero,
            range: (0.0, 1.0),
        };
        TrackerStep::Infer(NetworkId(0), request)
    }

    fn advance(&mut self, _: ModelOutput) -> TrackerStep {
        TrackerStep::Done(Vec::new())
    }

    fn reset(&mut self) {}
}
