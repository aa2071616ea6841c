//! Sinks that keep events in memory, and misbehave at some of them.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{EncodedEvent, EventKind};
use crate::ports::EventSink;
use crate::testing::Fuse;

/// Keeps events as JSON values.
#[derive(Clone, Default)]
pub struct MemorySink(pub Arc<Mutex<Vec<serde_json::Value>>>);

impl EventSink for MemorySink {
    fn append(&mut self, event: &EncodedEvent) -> std::io::Result<()> {
        let event = serde_json::from_slice(&event.json)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        Ok(())
    }

    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps events; panics or stalls at frames, or is full, while its fuses burn.
#[derive(Clone, Default)]
pub struct MoodySink {
    /// Where they are kept.
    pub events: Arc<Mutex<Vec<serde_json::Value>>>,
    /// Frames at which it panics; only those whose number is a multiple of `every`, or all when that is 0.
    pub panics: Fuse,
    /// See `panics`.
    pub every: u64,
    /// Offers that find no room.
    pub full: Fuse,
    /// Frames at which it does not come back for a while, and how long; then they are kept.
    pub stalls: (Fuse, Duration),
}

impl EventSink for MoodySink {
    fn append(&mut self, event: &EncodedEvent) -> std::io::Result<()> {
        let is_due = self.every == 0 || event.seq.is_multiple_of(self.every);
        let panics = is_due && event.kind == EventKind::FrameAnalyzed && self.panics.burns();
        assert!(!panics, "the sink panics, as the test asked");
        if is_due && event.kind == EventKind::FrameAnalyzed && self.stalls.0.burns() {
            std::thread::sleep(self.stalls.1);
        }
        if self.full.burns() {
            return Err(ErrorKind::StorageFull.into());
        }
        MemorySink(Arc::clone(&self.events)).append(event)
    }

    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn may_get_room(&self) -> bool {
        true
    }
}
