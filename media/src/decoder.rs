//! The video decoder: packets in, frames out.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use crate::codec::{CodecContext, CodecParameters};
use crate::convert::Converter;
use crate::elementary::ElementaryCodec;
use crate::error::{ErrorKind, MediaError};
use crate::frame::Frame;
use crate::gpu_picture::Shelf;
use crate::hardware::{self, Decoding};
use crate::input::Input;
use crate::packet::Packet;
use crate::raw::{self, sys};
use crate::raw_frame::RawFrame;
use crate::strikes::Strikes;

/// How to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Threads of the decoder; 0 is one a core. A GPU's has 4 at most. More than one for a file delays frames by as many.
    ///
    /// An intact stream gives the same frames with any number. For a damaged one only 1 promises the same frames at each
    /// run: frame threads conceal damage with whatever part of another picture is done by then, and where threads share
    /// slices, a broken slice writes into the next one's part of the picture (other frames than with 1 were measured).
    pub threads: usize,
    /// Give each frame out as soon as it can be. `None`: for live sources. Threads then share slices, not frames.
    pub low_delay: Option<bool>,
    /// The GPU whose decoder is tried; `None`: the CPU decodes. Where it cannot be had the CPU does it, see
    /// [`VideoDecoder::decoding`].
    pub gpu: Option<u32>,
}

impl Default for DecodeOptions {
    /// One thread: what a broken stream decodes to then does not depend on the order in which threads run.
    fn default() -> Self {
        Self { threads: 1, low_delay: None, gpu: None }
    }
}

/// A decoder for the video stream of an [`Input`]. A change of size in mid-stream gives frames of the new size.
pub struct VideoDecoder {
    context: CodecContext,
    converter: Converter,
    /// Kept between calls that gave no frame.
    spare: Option<RawFrame>,
    stream: Stream,
    who: String,
    threads: usize,
    decoding: Decoding,
    /// The GPU that was opened and was not given up, whoever decodes now.
    gpu: Option<u32>,
    strikes: Strikes,
    next_is_damaged: bool,
    shelf: Shelf,
}

impl VideoDecoder {
    /// Opens a decoder.
    ///
    /// # Errors
    /// `UnsupportedCodec`, or what the decoder says.
    pub fn new(input: &Input, options: &DecodeOptions) -> Result<Self, MediaError> {
        let info = input.video();
        let stream = Stream {
            codec: info.parameters.codec_id(),
            parameters: Some(Arc::clone(&info.parameters)),
            time_base: info.time_base,
            rotation: info.rotation,
            low_delay: options.low_delay.unwrap_or(input.address().is_live()),
        };
        Self::open(stream, options, format!("decode {} of `{}`", info.codec, input.address()))
    }

    /// Opens a decoder for access units that come without a container, in Annex B and with their parameter sets in
    /// front of each key frame. `source` is what messages call it, without secrets; `time_base` is the unit of the
    /// packets' timestamps.
    ///
    /// # Errors
    /// `UnsupportedCodec`, or what the decoder says.
    pub fn for_codec(
        codec: ElementaryCodec,
        time_base: (i32, i32),
        source: &str,
        options: &DecodeOptions,
    ) -> Result<Self, MediaError> {
        let low_delay = options.low_delay.unwrap_or(true);
        let stream = Stream { codec: codec.id(), parameters: None, time_base, rotation: 0, low_delay };
        Self::open(stream, options, format!("decode {} of `{source}`", codec.name()))
    }

    fn open(stream: Stream, options: &DecodeOptions, who: String) -> Result<Self, MediaError> {
        let (context, decoding) = stream.decoder(options.threads, options.gpu, &who)?;
        // SAFETY: an integer of the open context is read; FFmpeg has put the number of cores for 0.
        let threads = unsafe { (*context.as_ptr()).thread_count }.max(1) as usize;
        let gpu = if let Decoding::Gpu(number) = decoding { Some(number) } else { None };
        Ok(Self {
            context,
            converter: Converter::new(),
            spare: None,
            stream,
            who,
            threads,
            decoding,
            gpu,
            strikes: Strikes::default(),
            next_is_damaged: false,
            shelf: Shelf::default(),
        })
    }

    /// Gives the decoder a packet, or `None` to say that no more will come. Call [`VideoDecoder::receive`] until it
    /// gives `None` before the next packet.
    ///
    /// # Errors
    /// `Corrupt` for a packet that the decoder refuses; decoding may go on with the next.
    pub fn send(&mut self, packet: Option<&Packet>) -> Result<(), MediaError> {
        // An empty packet would mean the end of the stream to FFmpeg.
        if packet.is_some_and(|packet| packet.size() == 0) {
            return Err(MediaError::new(
                ErrorKind::Corrupt,
                format!("cannot {}: a packet is empty", self.who),
            ));
        }
        let is = |what: fn(&Packet) -> bool| packet.is_some_and(what);
        let is_damaged = std::mem::take(&mut self.next_is_damaged) || is(Packet::is_corrupt);
        self.strikes.offered(is(Packet::is_key), is_damaged);
        match self.put(packet) {
            Err(error) if self.is_replaced(&error) => self.put(packet),
            sent => sent,
        }
    }

    fn put(&mut self, packet: Option<&Packet>) -> Result<(), MediaError> {
        let raw = packet.map_or(ptr::null(), Packet::as_ptr);
        // SAFETY: the context is open and exclusively borrowed; the packet is null or lives during the call, which
        // takes its own reference to the bytes.
        match unsafe { sys::avcodec_send_packet(self.context.as_ptr(), raw) } {
            // Told twice that no more will come: nothing to do.
            sys::AVERROR_EOF if packet.is_none() => Ok(()),
            code if code < 0 => Err(self.error(code)),
            _ => Ok(()),
        }
    }

    /// The next frame in order of display. `None`: a packet is needed, or, after the end was sent, there are no more.
    ///
    /// # Errors
    /// `Corrupt` for what cannot be decoded (with several threads, of an earlier packet); decoding may go on.
    pub fn receive(&mut self) -> Result<Option<Frame>, MediaError> {
        let received = self.take();
        match &received {
            Ok(Some(_)) => self.strikes.frame(),
            Ok(None) => {}
            Err(error) => {
                self.is_replaced(error);
            }
        }
        received
    }

    fn take(&mut self) -> Result<Option<Frame>, MediaError> {
        let frame = match self.spare.take() {
            Some(frame) => frame,
            None => RawFrame::new()?,
        };
        // SAFETY: the context is open and exclusively borrowed; the frame is blank and owned here.
        match unsafe { sys::avcodec_receive_frame(self.context.as_ptr(), frame.as_ptr()) } {
            raw::AGAIN | sys::AVERROR_EOF => {
                self.spare = Some(frame);
                Ok(None)
            }
            code if code < 0 => Err(self.error(code)),
            _ => self.present(frame).map(Some),
        }
    }

    /// Marks the next packets: frames made of them carry `tag`.
    pub(crate) fn tag(&mut self, tag: i64) {
        // SAFETY: a plain field of the open, exclusively borrowed context.
        unsafe { (*self.context.as_ptr()).reordered_opaque = tag };
    }

    /// The next packet is known to be damaged, though it does not say so.
    pub(crate) fn expect_damage(&mut self) {
        self.next_is_damaged = true;
    }

    /// A picture where it is, if it can be read there; else in the host's memory.
    fn present(&mut self, frame: RawFrame) -> Result<Frame, MediaError> {
        let (is_on_gpu, time) = (hardware::is_on_gpu(&frame), (self.stream.time_base, self.stream.rotation));
        self.note_decoder(is_on_gpu);
        if is_on_gpu && !hardware::has_samples(&frame) {
            return Err(MediaError::new(
                ErrorKind::Corrupt,
                format!("cannot {}: a damaged picture", self.who),
            ));
        }
        let gpu = self.gpu.filter(|_| is_on_gpu);
        let kept = gpu.and_then(|gpu| Some((gpu, self.shelf.keep(&frame)?)));
        if let Some((gpu, kept)) = kept {
            return Frame::on_gpu_of(kept, gpu, time.0, time.1);
        }
        let frame = if is_on_gpu { hardware::download(&frame)? } else { frame };
        Frame::new(self.converter.presentable(frame)?, time.0, time.1)
    }

    /// A picture of the GPU's decoder has come, or one of FFmpeg's own where the GPU's was expected.
    fn note_decoder(&mut self, is_on_gpu: bool) {
        let Some(number) = self.gpu else { return };
        match (&self.decoding, is_on_gpu) {
            (Decoding::Gpu(_), false) => {
                let reason = format!("the decoder of cuda:{number} is busy or does not know this stream");
                self.decoding = Decoding::Instead(reason);
            }
            (Decoding::Instead(_), true) => self.decoding = Decoding::Gpu(number),
            _ => {}
        }
    }

    /// Whether this error was one too many for a GPU's decoder, and another one has its place.
    fn is_replaced(&mut self, error: &MediaError) -> bool {
        let Some(number) = self.gpu else { return false };
        let is_of_stream = error.kind() == ErrorKind::Corrupt;
        self.strikes.error(is_of_stream)
            && self.fall_back(format!("the decoder of cuda:{number} fails: {error}"))
    }

    /// Goes on in software, from the next key frame on: what the decoder held is gone, and no frame comes of it. `false` if
    /// that cannot be had; then all stays as it was.
    pub(crate) fn fall_back(&mut self, reason: String) -> bool {
        // As many threads as before, since the account has to know how much a decoder may hold.
        let Ok((context, _)) = self.stream.decoder(self.threads, None, &self.who) else { return false };
        (self.context, self.shelf) = (context, Shelf::default());
        (self.decoding, self.gpu) = (Decoding::Instead(reason), None);
        true
    }

    /// Who decodes. A GPU's decoder that was opened may turn out to refuse the stream at any picture; one that does nothing
    /// but fail is replaced by one of the CPU for good.
    pub fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    /// Number of threads that the decoder uses.
    pub fn threads(&self) -> usize {
        self.threads
    }

    fn error(&self, code: c_int) -> MediaError {
        MediaError::from_code(code, &self.who, ErrorKind::Corrupt)
    }
}

/// What a decoder has to know of a stream before its first packet.
struct Stream {
    codec: c_int,
    /// None when the packets themselves say everything.
    parameters: Option<Arc<CodecParameters>>,
    time_base: (i32, i32),
    rotation: u16,
    low_delay: bool,
}

impl Stream {
    /// Opens a decoder, the one of `gpu` where it can be had, and says whose it is.
    fn decoder(
        &self,
        threads: usize,
        gpu: Option<u32>,
        who: &str,
    ) -> Result<(CodecContext, Decoding), MediaError> {
        // SAFETY: any integer is allowed; null is looked for before the codec is used.
        let codec = unsafe { raw::find_decoder(self.codec) };
        if codec.is_null() {
            let message = format!("cannot {who}: this FFmpeg has no such decoder");
            return Err(MediaError::new(ErrorKind::UnsupportedCodec, message));
        }
        // SAFETY: `codec` is one of FFmpeg's.
        let context = unsafe { CodecContext::new(codec) }?;
        configure(&context, self.low_delay, threads);
        // SAFETY: the context was made for this codec.
        let decoding = gpu.map_or(Decoding::Cpu, |gpu| unsafe { hardware::attach(&context, codec, gpu) });
        if let Decoding::Gpu(_) = decoding {
            limit_threads(&context);
        }
        let parameters = self.parameters.as_ref();
        // SAFETY: the context is fresh and owned here, the parameters live during the call, which copies them.
        let code = unsafe {
            let raw = context.as_ptr();
            match parameters.map_or(0, |own| sys::avcodec_parameters_to_context(raw, own.as_ptr())) {
                code if code < 0 => code,
                _ => {
                    (*raw).pkt_timebase = raw::rational(self.time_base);
                    sys::avcodec_open2(raw, codec, ptr::null_mut())
                }
            }
        };
        if code < 0 {
            return Err(MediaError::from_code(code, who, ErrorKind::Corrupt));
        }
        Ok((context, decoding))
    }
}

/// Threads of a decoder on a GPU: it has 32 surfaces at most, and each thread of frames takes one.
const MOST_GPU_THREADS: c_int = 4;

/// Lets a GPU's decoder have few threads; one a core (0) may be more.
fn limit_threads(context: &CodecContext) {
    let raw = context.as_ptr();
    // SAFETY: the context is fresh, not open yet, and owned by the caller.
    unsafe {
        if !(1..=MOST_GPU_THREADS).contains(&(*raw).thread_count) {
            (*raw).thread_count = MOST_GPU_THREADS;
        }
    }
}

fn configure(context: &CodecContext, low_delay: bool, threads: usize) {
    let raw = context.as_ptr();
    // SAFETY: the context is fresh, not open yet, and owned by the caller.
    unsafe {
        (*raw).thread_count = c_int::try_from(threads).unwrap_or(0);
        (*raw).flags |= sys::AV_CODEC_FLAG_BITEXACT as c_int;
        if low_delay {
            (*raw).flags |= sys::AV_CODEC_FLAG_LOW_DELAY as c_int;
            // A frame thread holds each frame back by one frame; slices do not.
            (*raw).thread_type = sys::FF_THREAD_SLICE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Clip, GOP};

    /// A decoder that is taken for a GPU's. Another codec's in its place makes it refuse each packet.
    fn of_gpu(clip: &Clip) -> VideoDecoder {
        let mut decoder = VideoDecoder::new(&clip.input(), &DecodeOptions::default()).unwrap();
        (decoder.gpu, decoder.decoding) = (Some(0), Decoding::Gpu(0));
        let other =
            Stream { codec: sys::AVCodecID::AV_CODEC_ID_VP8 as c_int, parameters: None, ..decoder.stream };
        decoder.context = other.decoder(1, None, "fail").unwrap().0;
        decoder
    }

    /// The frames that come of a packet that is taken.
    fn decode(decoder: &mut VideoDecoder, packet: Option<&Packet>) -> usize {
        decoder.send(packet).unwrap();
        std::iter::from_fn(|| decoder.receive().unwrap()).count()
    }

    #[test]
    fn a_gpus_decoder_that_only_fails_is_replaced_and_the_last_packet_is_not_lost() {
        let clip = Clip::new();
        let (mut decoder, packets) = (of_gpu(&clip), clip.packets());
        for packet in &packets[..47] {
            assert!(decoder.send(Some(packet)).is_err());
            assert!(decoder.receive().unwrap().is_none());
        }
        assert_eq!((decoder.decoding(), decoder.gpu), (&Decoding::Gpu(0), Some(0)));
        let rest = &packets[5 * GOP..];
        assert!(rest[0].is_key());
        let frames: usize = rest.iter().map(|packet| decode(&mut decoder, Some(packet))).sum();
        assert_eq!(frames + decode(&mut decoder, None), rest.len());
        let Decoding::Instead(reason) = decoder.decoding() else { panic!("{:?}", decoder.decoding()) };
        assert!(reason.starts_with("the decoder of cuda:0 fails: cannot decode h264 of `"), "{reason}");
        assert_eq!((decoder.gpu, decoder.threads()), (None, 1));
    }

    #[test]
    fn a_decoder_of_the_cpu_that_only_fails_stays() {
        let clip = Clip::new();
        let mut decoder = of_gpu(&clip);
        (decoder.gpu, decoder.decoding) = (None, Decoding::Cpu);
        for packet in &clip.packets() {
            assert!(decoder.send(Some(packet)).is_err());
        }
        assert_eq!(decoder.decoding(), &Decoding::Cpu);
    }
}
