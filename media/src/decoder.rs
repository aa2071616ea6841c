//! The video decoder: packets in, frames out.

use std::ffi::c_int;
use std::ptr;

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
    time_base: (i32, i32),
    rotation: u16,
    who: String,
    threads: usize,
    decoding: Decoding,
    /// The GPU that was opened, whoever decodes now.
    gpu: Option<u32>,
    shelf: Shelf,
}

impl VideoDecoder {
    /// Opens a decoder.
    ///
    /// # Errors
    /// `UnsupportedCodec`, or what the decoder says.
    pub fn new(input: &Input, options: &DecodeOptions) -> Result<Self, MediaError> {
        let info = input.video();
        let what = Stream {
            codec: info.parameters.codec_id(),
            parameters: Some(&info.parameters),
            time_base: info.time_base,
            rotation: info.rotation,
            is_live: input.address().is_live(),
        };
        Self::open(&what, options, format!("decode {} of `{}`", info.codec, input.address()))
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
        let what = Stream { codec: codec.id(), parameters: None, time_base, rotation: 0, is_live: true };
        Self::open(&what, options, format!("decode {} of `{source}`", codec.name()))
    }

    fn open(what: &Stream<'_>, options: &DecodeOptions, who: String) -> Result<Self, MediaError> {
        // SAFETY: any integer is allowed; null is looked for before the codec is used.
        let codec = unsafe { raw::find_decoder(what.codec) };
        if codec.is_null() {
            let message = format!("cannot {who}: this FFmpeg has no such decoder");
            return Err(MediaError::new(ErrorKind::UnsupportedCodec, message));
        }
        // SAFETY: `codec` is one of FFmpeg's.
        let context = unsafe { CodecContext::new(codec) }?;
        let low_delay = options.low_delay.unwrap_or(what.is_live);
        configure(&context, low_delay, options.threads);
        // SAFETY: the context was made for this codec.
        let decoding =
            options.gpu.map_or(Decoding::Cpu, |gpu| unsafe { hardware::attach(&context, codec, gpu) });
        if let Decoding::Gpu(_) = decoding {
            limit_threads(&context);
        }
        // SAFETY: the context is fresh and owned here, the parameters live during the call, which copies them.
        let code = unsafe {
            let raw = context.as_ptr();
            match what.parameters.map_or(0, |own| sys::avcodec_parameters_to_context(raw, own.as_ptr())) {
                code if code < 0 => code,
                _ => {
                    (*raw).pkt_timebase = raw::rational(what.time_base);
                    sys::avcodec_open2(raw, codec, ptr::null_mut())
                }
            }
        };
        if code < 0 {
            return Err(MediaError::from_code(code, &who, ErrorKind::Corrupt));
        }
        // SAFETY: an integer of the open context is read; FFmpeg has put the number of cores for 0.
        let threads = unsafe { (*context.as_ptr()).thread_count }.max(1) as usize;
        let (time_base, rotation) = (what.time_base, what.rotation);
        let gpu = if let Decoding::Gpu(number) = decoding { Some(number) } else { None };
        Ok(Self {
            context,
            converter: Converter::new(),
            spare: None,
            time_base,
            rotation,
            who,
            threads,
            decoding,
            gpu,
            shelf: Shelf::default(),
        })
    }

    /// Gives the decoder a packet, or `None` to say that no more will come. Call [`VideoDecoder::receive`] until it
    /// gives `None` before the next packet.
    ///
    /// # Errors
    /// `Corrupt` for a packet that the decoder refuses; decoding may go on with the next.
    pub fn send(&mut self, packet: Option<&Packet>) -> Result<(), MediaError> {
        let raw = packet.map_or(ptr::null(), Packet::as_ptr);
        // An empty packet would mean the end of the stream to FFmpeg.
        if packet.is_some_and(|packet| packet.size() == 0) {
            return Err(MediaError::new(
                ErrorKind::Corrupt,
                format!("cannot {}: a packet is empty", self.who),
            ));
        }
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

    /// A picture where it is, if it can be read there; else in the host's memory.
    fn present(&mut self, frame: RawFrame) -> Result<Frame, MediaError> {
        let (is_on_gpu, time) = (hardware::is_on_gpu(&frame), (self.time_base, self.rotation));
        self.note_decoder(is_on_gpu);
        if is_on_gpu && !hardware::has_samples(&frame) {
            return Err(MediaError::new(ErrorKind::Corrupt, format!("cannot {}: a damaged picture", self.who)));
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

    /// Who decodes. A GPU's decoder that was opened may turn out to refuse the stream at any picture.
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
struct Stream<'a> {
    codec: c_int,
    /// None when the packets themselves say everything.
    parameters: Option<&'a CodecParameters>,
    time_base: (i32, i32),
    rotation: u16,
    is_live: bool,
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
