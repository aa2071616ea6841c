//! [`ElementaryDecoder`]: access units without a container, received elsewhere, into frames with an account.
//!
//! The counterpart of [`crate::FrameReader`] for a client that speaks its own protocol. Each unit may carry a note (its
//! capture time, for example), which comes out again with the frame that is made of it, however frames are reordered.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use crate::account::{Account, Ledger, Lost};
use crate::decoder::{DecodeOptions, VideoDecoder};
use crate::error::MediaError;
use crate::frame::Frame;
use crate::hardware::Decoding;
use crate::packet::Packet;
use crate::raw::sys;
use crate::reader::FrameMeta;
use crate::taint::Taint;

/// Errors of the decoder without a unit between them that are passed over before it is given up.
const PATIENCE: u32 = 16;

/// What an elementary stream is encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementaryCodec {
    /// H.264.
    H264,
    /// H.265.
    H265,
}

impl ElementaryCodec {
    /// FFmpeg's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "hevc",
        }
    }

    pub(crate) fn id(self) -> c_int {
        match self {
            Self::H264 => sys::AVCodecID::AV_CODEC_ID_H264 as c_int,
            Self::H265 => sys::AVCodecID::AV_CODEC_ID_HEVC as c_int,
        }
    }
}

/// An access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementaryUnit<'a> {
    /// NAL units in Annex B, with the parameter sets in front of a key frame.
    pub data: &'a [u8],
    /// Presentation timestamp, in ticks of the decoder's time base, without wraps.
    pub pts: i64,
    /// Decoding may begin here.
    pub is_key: bool,
    /// Parts of it, or of what it refers to, are known to be missing.
    pub is_damaged: bool,
}

/// What comes out.
#[derive(Debug)]
pub enum Decoded<T> {
    /// The next frame in order of display, with the note of its unit.
    Frame(Frame, FrameMeta, T),
    /// Access units that will never be frames; they belong before the next frame.
    Lost(Lost),
}

/// Decodes on the caller's thread. Units in with [`push`](Self::push), frames out with [`pop`](Self::pop).
pub struct ElementaryDecoder<T> {
    decoder: VideoDecoder,
    ledger: Ledger,
    taint: Taint,
    /// The number of the unit that was pushed last.
    offered: i64,
    time_base: (i32, i32),
    notes: VecDeque<(i64, T)>,
    ready: VecDeque<Decoded<T>>,
    worked: Duration,
    complaints: u32,
}

impl<T> ElementaryDecoder<T> {
    /// Who decodes, so far.
    pub fn decoding(&self) -> &Decoding {
        self.decoder.decoding()
    }

    /// Opens a decoder. `source` is what messages call it, without secrets; `time_base` is the unit of timestamps, as
    /// (numerator, denominator) of a second.
    ///
    /// # Errors
    /// Those of [`VideoDecoder::for_codec`].
    pub fn new(
        codec: ElementaryCodec,
        time_base: (i32, i32),
        source: &str,
        options: &DecodeOptions,
    ) -> Result<Self, MediaError> {
        let decoder = VideoDecoder::for_codec(codec, time_base, source, options)?;
        Ok(Self {
            ledger: Ledger::new(decoder.threads()),
            decoder,
            taint: Taint::default(),
            offered: 0,
            time_base,
            notes: VecDeque::new(),
            ready: VecDeque::new(),
            worked: Duration::ZERO,
            complaints: 0,
        })
    }

    /// The account up to the last unit that was pushed.
    pub fn account(&self) -> Account {
        self.ledger.account()
    }

    /// Decodes a unit. What the decoder refuses is lost and accounted for, and the next unit may be well.
    ///
    /// # Errors
    /// When memory is short, or the decoder only complains: it is of no use any more.
    pub fn push(&mut self, unit: &ElementaryUnit<'_>, note: T) -> Result<(), MediaError> {
        let packet = Packet::of_video(unit.data, unit.pts, unit.is_key, self.time_base)?;
        self.complaints = 0;
        let number = self.ledger.offer(Some(unit.pts), unit.is_key);
        self.offered = number;
        if unit.is_damaged {
            self.taint.blame(number);
            self.decoder.expect_damage();
        }
        self.notes.push_back((number, note));
        self.decoder.tag(number);
        let began = Instant::now();
        if let Err(error) = self.decoder.send(Some(&packet)) {
            self.ledger.refuse(error.to_string());
            self.taint.blame(number);
        }
        self.worked += began.elapsed();
        let overdue = self.ledger.overdue();
        self.lose(overdue);
        self.receive()
    }

    /// No more units will come: gives out what the decoder holds.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self) -> Result<(), MediaError> {
        let drained = self.decoder.send(None).and_then(|()| self.receive());
        let rest = self.ledger.finish();
        self.lose(rest);
        drained
    }

    /// The next frame or loss, if there is one.
    pub fn pop(&mut self) -> Option<Decoded<T>> {
        self.ready.pop_front()
    }

    fn receive(&mut self) -> Result<(), MediaError> {
        loop {
            let began = Instant::now();
            let received = self.decoder.receive();
            self.worked += began.elapsed();
            match received {
                Ok(Some(frame)) => self.deliver(frame),
                Ok(None) => return Ok(()),
                Err(error) => self.complain(error)?,
            }
        }
    }

    /// An error that cannot be told to be of a certain unit; the unit that it cost is found by its absence.
    fn complain(&mut self, error: MediaError) -> Result<(), MediaError> {
        self.ledger.refuse(error.to_string());
        self.taint.blame(self.offered);
        self.complaints += 1;
        match self.complaints > PATIENCE + self.decoder.threads() as u32 {
            true => Err(error),
            false => Ok(()),
        }
    }

    fn deliver(&mut self, frame: Frame) {
        // A frame whose unit is accounted for already is passed over, and so is one whose note is gone with its unit.
        let number = frame.tag();
        let Some(place) = self.notes.iter().position(|(own, _)| *own == number) else { return };
        let Ok((lost, index)) = self.ledger.deliver(number, frame.packet_pts(), frame.is_interlaced()) else {
            return;
        };
        let Some((_, note)) = self.notes.remove(place) else { return };
        self.lose(lost);
        let decode_us = u64::try_from(std::mem::take(&mut self.worked).as_micros()).unwrap_or(u64::MAX);
        let corrupt = self.taint.judge(number, frame.is_key(), frame.is_corrupt());
        let meta = FrameMeta { index, decode_us, corrupt };
        self.ready.push_back(Decoded::Frame(frame, meta, note));
    }

    /// Hands losses on and forgets the notes of units that can give no frame any more.
    fn lose(&mut self, lost: Vec<Lost>) {
        self.ready.extend(lost.into_iter().map(Decoded::Lost));
        let oldest = self.ledger.oldest();
        self.notes.retain(|(number, _)| *number >= oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Clip, FRAMES, GOP};

    #[test]
    fn a_replaced_decoder_goes_on_from_the_next_key_frame_and_the_account_balances() {
        let packets = Clip::new().packets();
        let options = DecodeOptions { threads: 2, ..DecodeOptions::default() };
        let mut decoder =
            ElementaryDecoder::new(ElementaryCodec::H264, (1, 90_000), "a test", &options).unwrap();
        for (number, packet) in packets.iter().enumerate() {
            if number == 2 * GOP + GOP / 2 {
                assert!(decoder.decoder.fall_back("it fails".to_owned()));
            }
            let pts = packet.pts().unwrap();
            let unit =
                ElementaryUnit { data: packet.data(), pts, is_key: packet.is_key(), is_damaged: false };
            decoder.push(&unit, number).unwrap();
        }
        decoder.finish().unwrap();
        assert_eq!(decoder.decoding(), &Decoding::Instead("it fails".to_owned()));
        let (mut shown, mut lost) = (Vec::new(), 0);
        while let Some(item) = decoder.pop() {
            match item {
                Decoded::Frame(_, meta, number) => {
                    assert_eq!(meta.index, shown.len() as u64 + lost);
                    shown.push(number);
                }
                Decoded::Lost(part) => lost += part.count,
            }
        }
        let after = |from: usize| shown.iter().filter(|&&number| number >= from).count();
        assert_eq!(after(3 * GOP), FRAMES - 3 * GOP, "{shown:?}");
        assert!(lost > 0, "{shown:?}");
        let account = decoder.account();
        assert_eq!((account.received, account.in_flight), (FRAMES as u64, 0));
        assert_eq!((account.frames, account.lost), (shown.len() as u64, lost));
    }
}
