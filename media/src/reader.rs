//! [`FrameReader`]: from a source to frames, with an account that balances to the access unit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::account::{Account, Ledger, Lost};
use crate::address::Address;
use crate::decoder::{DecodeOptions, VideoDecoder};
use crate::error::{ErrorKind, MediaError};
use crate::frame::Frame;
use crate::hardware::Decoding;
use crate::input::{Input, OpenOptions};
use crate::packet::{Packet, PacketKind};
use crate::taint::Taint;

/// Unreadable parts in a row that are passed over before the source is given up.
const PATIENCE: u32 = 16;

/// What [`FrameReader::next_item`] gives.
#[derive(Debug)]
pub enum Item {
    /// The next frame in order of display.
    Frame(Frame, FrameMeta),
    /// Access units that will never be frames; they belong before the next frame.
    Lost(Lost),
    /// There is no more. All that could be decoded was delivered before.
    End {
        /// Why it ended, if not by itself; or that parts on the way could not be read.
        error: Option<MediaError>,
    },
}

/// What the reader knows of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameMeta {
    /// Number of the frame in order of display, from 0; lost ones are counted, so it equals `frames + lost` of the
    /// account before this frame.
    pub index: u64,
    /// Time that the decoder worked since the previous frame, in microseconds: what this frame cost. With several
    /// threads, the time that the caller waited for them.
    pub decode_us: u64,
    /// Parts of the picture are missing or guessed, in it or in a picture that it may refer to: from damage on, all frames
    /// up to the next intact key frame.
    pub corrupt: bool,
}

/// Reads and decodes one source on the caller's thread.
pub struct FrameReader {
    input: Input,
    decoder: VideoDecoder,
    ledger: Ledger,
    taint: Taint,
    /// Number of the last access unit that was offered.
    offered: i64,
    ready: VecDeque<Item>,
    stage: Stage,
    worked: Duration,
    error: Option<MediaError>,
    unreadable: u32,
    /// Errors of the decoder since it got a packet, or since it was told that no more will come.
    complaints: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    /// The decoder was told that no more will come.
    Draining,
    Done,
}

impl FrameReader {
    /// Opens `address` and a decoder for it; audio is not read.
    ///
    /// # Errors
    /// Those of [`Input::open`] and [`VideoDecoder::new`].
    pub fn open(address: &Address, open: &OpenOptions, decode: &DecodeOptions) -> Result<Self, MediaError> {
        let open = OpenOptions { audio: false, ..open.clone() };
        Self::new(Input::open(address, &open)?, decode)
    }

    /// Reads from an input that is open already. Audio packets of it are passed over.
    ///
    /// # Errors
    /// Those of [`VideoDecoder::new`].
    pub fn new(input: Input, options: &DecodeOptions) -> Result<Self, MediaError> {
        let decoder = VideoDecoder::new(&input, options)?;
        let ledger = Ledger::new(decoder.threads());
        Ok(Self {
            input,
            decoder,
            ledger,
            taint: Taint::default(),
            offered: 0,
            ready: VecDeque::new(),
            stage: Stage::Reading,
            worked: Duration::ZERO,
            error: None,
            unreadable: 0,
            complaints: 0,
        })
    }

    /// Who decodes, so far.
    pub fn decoding(&self) -> &Decoding {
        self.decoder.decoding()
    }

    /// The source.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// The account up to the last item that was given.
    pub fn account(&self) -> Account {
        self.ledger.account()
    }

    /// The next frame, loss, or the end; blocks until there is one. After the end it gives the end again.
    pub fn next_item(&mut self) -> Item {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return item;
            }
            if self.stage == Stage::Done {
                return Item::End { error: self.error.clone() };
            }
            self.step();
        }
    }

    /// Takes one frame out of the decoder or, when it has none, puts one packet into it.
    fn step(&mut self) {
        let began = Instant::now();
        let received = self.decoder.receive();
        self.worked += began.elapsed();
        match received {
            Ok(Some(frame)) => self.deliver(frame),
            Ok(None) if self.stage == Stage::Reading => self.feed(),
            Ok(None) => self.finish(),
            Err(error) => self.decoder_failed(error),
        }
    }

    fn deliver(&mut self, frame: Frame) {
        // A frame whose unit is accounted for already is passed over: the account counts each unit once.
        let Ok((lost, index)) = self.ledger.deliver(frame.tag(), frame.packet_pts(), frame.is_interlaced())
        else {
            return;
        };
        self.ready.extend(lost.into_iter().map(Item::Lost));
        let decode_us = u64::try_from(std::mem::take(&mut self.worked).as_micros()).unwrap_or(u64::MAX);
        let corrupt = self.taint.judge(frame.tag(), frame.is_key(), frame.is_corrupt());
        let meta = FrameMeta { index, decode_us, corrupt };
        self.ready.push_back(Item::Frame(frame, meta));
    }

    fn feed(&mut self) {
        match self.input.read() {
            Ok(Some(packet)) if packet.kind() == PacketKind::Video => self.offer(&packet),
            Ok(Some(_)) => {}
            Ok(None) => self.drain(),
            Err(error) => self.read_failed(error),
        }
    }

    fn offer(&mut self, packet: &Packet) {
        (self.unreadable, self.complaints) = (0, 0);
        let counted = !packet.is_discard() && !is_hidden(packet, &self.input.video().codec);
        // A packet that is not counted gets no number; a frame of it would be refused by the ledger.
        let tag = if counted { self.ledger.offer(packet.pts(), packet.is_key()) } else { 0 };
        self.decoder.tag(tag);
        self.offered = self.offered.max(tag);
        if packet.is_corrupt() {
            // FFmpeg's parser cuts a stream into units, and may put the mark on the unit before the damaged one.
            self.taint.blame(self.offered);
            self.taint.blame(self.offered + 1);
        }
        let began = Instant::now();
        let sent = self.decoder.send(Some(packet));
        self.worked += began.elapsed();
        if let Err(error) = sent
            && counted
        {
            self.refuse(&error);
        }
        self.ready.extend(self.ledger.overdue().into_iter().map(Item::Lost));
    }

    /// The decoder complained of the last unit that was offered, or of one before it.
    fn refuse(&mut self, error: &MediaError) {
        self.ledger.refuse(error.to_string());
        self.taint.blame(self.offered);
    }

    fn read_failed(&mut self, error: MediaError) {
        self.unreadable += 1;
        let passed_over = error.kind() == ErrorKind::Corrupt && self.unreadable < PATIENCE;
        let cancelled = error.kind() == ErrorKind::Cancelled;
        // The first one tells most.
        self.error.get_or_insert(error);
        match (passed_over, cancelled) {
            (true, _) => {}
            // Who cancels wants no more frames.
            (false, true) => self.finish(),
            (false, false) => self.drain(),
        }
    }

    fn drain(&mut self) {
        (self.stage, self.complaints) = (Stage::Draining, 0);
        if self.decoder.send(None).is_err() {
            self.finish();
        }
    }

    /// An error that cannot be told to be of a certain packet; the unit that it cost is found by its absence.
    fn decoder_failed(&mut self, error: MediaError) {
        self.refuse(&error);
        self.complaints += 1;
        if let Some(cancelled) = self.input.cancelled() {
            self.error.get_or_insert(cancelled);
            self.finish();
        } else if self.complaints > PATIENCE + self.decoder.threads() as u32 {
            // Each thread may have one error of an earlier packet; beyond that it only repeats itself.
            self.error.get_or_insert(error);
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.ready.extend(self.ledger.finish().into_iter().map(Item::Lost));
        self.stage = Stage::Done;
    }
}

/// Whether a packet is by design never shown: VP8's alternate reference frames (RFC 6386, section 9.1).
fn is_hidden(packet: &Packet, codec: &str) -> bool {
    codec == "vp8" && packet.data().first().is_some_and(|byte| byte & 0x10 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelToken;
    use crate::testing::{Clip, FRAMES, GOP};

    fn reader(cancel: &CancelToken) -> FrameReader {
        let address = Address::parse("device:lavfi:color=size=64x64").unwrap();
        let open = OpenOptions { cancel: cancel.clone(), ..OpenOptions::default() };
        FrameReader::open(&address, &open, &DecodeOptions::default()).unwrap()
    }

    fn complaint() -> MediaError {
        MediaError::new(ErrorKind::Corrupt, "the decoder complains")
    }

    #[test]
    fn a_decoder_that_only_complains_is_given_up_while_packets_could_be_read() {
        let mut reader = reader(&CancelToken::new());
        for _ in 0..PATIENCE + 1 {
            reader.decoder_failed(complaint());
            assert_eq!(reader.stage, Stage::Reading);
        }
        reader.decoder_failed(complaint());
        let Item::End { error } = reader.next_item() else { panic!("it goes on") };
        assert_eq!(error, Some(complaint()));
    }

    #[test]
    fn a_packet_that_the_decoder_takes_renews_the_patience() {
        let mut reader = reader(&CancelToken::new());
        for _ in 0..3 {
            (0..PATIENCE).for_each(|_| reader.decoder_failed(complaint()));
            assert!(matches!(reader.next_item(), Item::Frame(..)));
        }
    }

    #[test]
    fn a_replaced_decoder_goes_on_from_the_next_key_frame_and_the_account_balances() {
        let clip = Clip::new();
        let mut reader = FrameReader::new(clip.input(), &DecodeOptions::default()).unwrap();
        // In the middle of the third group.
        let begun = 2 * GOP + GOP / 2;
        for _ in 0..begun {
            assert!(matches!(reader.next_item(), Item::Frame(_, meta) if !meta.corrupt));
        }
        assert!(reader.decoder.fall_back("it fails".to_owned()));
        reader.refuse(&complaint());
        assert_eq!(reader.decoding(), &Decoding::Instead("it fails".to_owned()));
        let (mut good, mut damaged, mut lost) = (Vec::new(), 0, 0);
        let error = loop {
            match reader.next_item() {
                Item::Frame(_, meta) if meta.corrupt => damaged += 1,
                Item::Frame(_, meta) => good.push(meta.index as usize),
                Item::Lost(part) => lost += part.count,
                Item::End { error } => break error,
            }
        };
        assert_eq!(error, None);
        assert_eq!(good, (3 * GOP..FRAMES).collect::<Vec<_>>(), "the next key frame begins the fourth group");
        assert_eq!(damaged + lost, (GOP - GOP / 2) as u64);
        let account = reader.account();
        assert_eq!((account.received, account.in_flight), (FRAMES as u64, 0));
        assert_eq!((account.frames, account.lost), ((begun + good.len()) as u64 + damaged, lost));
    }

    #[test]
    fn a_complaining_decoder_is_left_when_it_is_cancelled() {
        let cancel = CancelToken::new();
        let mut reader = reader(&cancel);
        cancel.cancel();
        reader.decoder_failed(complaint());
        let Item::End { error } = reader.next_item() else { panic!("it goes on") };
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Cancelled));
    }
}
