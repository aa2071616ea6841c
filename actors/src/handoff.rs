//! The hand-off of frames from the Decoder to the Preprocessor, with a bound and a named policy.
//!
//! Live sources hand over the newest frames ([`HandoffPolicy::Latest`]); files wait for room
//! ([`HandoffPolicy::Wait`]). Frames travel here and never in a mailbox; mailboxes carry only the two wake-up
//! calls: a flag is raised by the side that wants to be called and lowered by the side that calls. A call for room
//! may come late, when the wait that asked for it is over; the Decoder keeps what it waits for and ignores it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::domain::{DropReason, EndReason, FrameAccount, VideoFrame};
use crate::ports::SourceErrorKind;
use crate::slot::LatestSlot;

/// What happens when frames come faster than they are analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoffPolicy {
    /// One frame waits, two after a burst; a third replaces both, counted as `replaced`.
    Latest,
    /// The decoder waits when `depth` frames are waiting.
    Wait {
        /// Frames decoded ahead, at least 1.
        depth: usize,
    },
}

/// How a stream of frames ended, with the account of what came after its last frame.
#[derive(Clone, Debug)]
pub struct HandoffEnd {
    /// Why.
    pub reason: EndReason,
    /// What kind of failure it was, when the source failed.
    pub failure: Option<SourceErrorKind>,
    /// Losses after the last frame.
    pub account: FrameAccount,
}

/// What the consumer finds.
pub enum Handed {
    /// A frame.
    Frame(Box<VideoFrame>),
    /// Nothing now; the producer will call.
    Empty,
    /// Nothing ever again.
    End(HandoffEnd),
}

/// The meeting point of one Decoder and one Preprocessor.
pub struct Handoff {
    room: Room,
    end: OnceLock<HandoffEnd>,
    consumer_called: AtomicBool,
    producer_waits: AtomicBool,
}

enum Room {
    Latest(LatestSlot<Box<VideoFrame>>),
    Wait(ArrayQueue<Box<VideoFrame>>),
}

impl Handoff {
    /// An empty hand-off under `policy`.
    #[must_use]
    pub fn new(policy: HandoffPolicy) -> Self {
        let room = match policy {
            HandoffPolicy::Latest => Room::Latest(LatestSlot::default()),
            HandoffPolicy::Wait { depth } => Room::Wait(ArrayQueue::new(depth.max(1))),
        };
        Self {
            room,
            end: OnceLock::new(),
            consumer_called: AtomicBool::new(false),
            producer_waits: AtomicBool::new(false),
        }
    }

    /// Producer: hands `frame` over. Gives it back when there is no room; then [`Handoff::take`] will tell the
    /// consumer to call the producer.
    ///
    /// # Errors
    /// The frame itself, when the policy is to wait and there is no room.
    pub fn offer(&self, mut frame: Box<VideoFrame>) -> Result<(), Box<VideoFrame>> {
        match &self.room {
            Room::Latest(slot) => {
                if slot.is_full() {
                    std::iter::from_fn(|| slot.take())
                        .for_each(|old| frame.account.add(&replaced_account(&old)));
                }
                // A single producer has just made room, so nothing can come back here.
                let _ = slot.put(frame);
                Ok(())
            }
            Room::Wait(queue) => queue.push(frame).or_else(|frame| {
                self.producer_waits.store(true, Ordering::SeqCst);
                // The consumer may have made room between the refusal and the flag: try once more. It may have seen
                // the flag as well; then its call comes late.
                queue.push(frame).inspect(|()| self.producer_waits.store(false, Ordering::SeqCst))
            }),
        }
    }

    /// Producer: says that nothing follows. Only the first call counts.
    pub fn finish(&self, end: HandoffEnd) {
        let _ = self.end.set(end);
    }

    /// Producer: whether the consumer has to be called; true once until the consumer [listens](Self::listen).
    pub fn must_call_consumer(&self) -> bool {
        !self.consumer_called.swap(true, Ordering::SeqCst)
    }

    /// Consumer: answers a call; later frames lead to another call.
    pub fn listen(&self) {
        self.consumer_called.store(false, Ordering::SeqCst);
    }

    /// Consumer: takes the next frame, and tells whether the producer waits to be called.
    pub fn take(&self) -> (Handed, bool) {
        // The end is read first: it is set after the last frame was handed over, so a frame that is still
        // there is found below, and an end seen with an empty room is the end.
        let end = self.end.get();
        let frame = match &self.room {
            Room::Latest(slot) => slot.take(),
            Room::Wait(queue) => queue.pop(),
        };
        match (frame, end) {
            (Some(frame), _) => (Handed::Frame(frame), self.producer_waits.swap(false, Ordering::SeqCst)),
            (None, Some(end)) => (Handed::End(end.clone()), false),
            (None, None) => (Handed::Empty, false),
        }
    }
}

/// The account of a frame that was replaced: what it carried, and itself as dropped.
fn replaced_account(frame: &VideoFrame) -> FrameAccount {
    let mut account = frame.account;
    account.drop_received(1, DropReason::Replaced);
    account
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frame;

    #[test]
    fn two_frames_of_a_burst_are_both_taken() {
        let handoff = Handoff::new(HandoffPolicy::Latest);
        assert!(handoff.offer(frame(0)).is_ok() && handoff.offer(frame(1)).is_ok());
        for index in 0..2 {
            let (Handed::Frame(next), false) = handoff.take() else { panic!("both frames should be there") };
            assert_eq!((next.index, next.account.dropped_for(DropReason::Replaced)), (index, 0));
        }
    }

    #[test]
    fn replaced_frames_are_counted_in_the_frame_that_replaced_them() {
        let handoff = Handoff::new(HandoffPolicy::Latest);
        for index in 0..3 {
            assert!(handoff.offer(frame(index)).is_ok());
        }
        let (Handed::Frame(last), false) = handoff.take() else { panic!("the newest frame should be there") };
        assert_eq!(last.index, 2);
        assert_eq!((last.account.received, last.account.dropped_for(DropReason::Replaced)), (3, 2));
    }

    #[test]
    fn a_full_queue_gives_the_frame_back_and_the_consumer_calls_the_producer() {
        let handoff = Handoff::new(HandoffPolicy::Wait { depth: 2 });
        assert!(handoff.offer(frame(0)).is_ok() && handoff.offer(frame(1)).is_ok());
        let refused = handoff.offer(frame(2)).expect_err("a full queue should refuse");
        assert_eq!(refused.index, 2);
        let (Handed::Frame(first), true) = handoff.take() else { panic!("the producer should be called") };
        assert_eq!(first.index, 0);
        assert!(handoff.offer(refused).is_ok());
    }

    #[test]
    fn the_end_comes_after_the_last_frame() {
        let handoff = Handoff::new(HandoffPolicy::Wait { depth: 2 });
        assert!(handoff.offer(frame(0)).is_ok());
        handoff.finish(HandoffEnd {
            reason: EndReason::EndOfSource,
            failure: None,
            account: FrameAccount::default(),
        });
        assert!(matches!(handoff.take().0, Handed::Frame(_)));
        assert!(matches!(handoff.take().0, Handed::End(_)));
    }

    #[test]
    fn the_consumer_is_called_once_until_it_listens() {
        let handoff = Handoff::new(HandoffPolicy::Latest);
        assert!(handoff.must_call_consumer());
        assert!(!handoff.must_call_consumer());
        handoff.listen();
        assert!(handoff.must_call_consumer());
    }
}
