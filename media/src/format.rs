//! The owner of an `AVFormatContext` that reads, together with the interrupt that its blocking calls look at.

use std::ffi::{CString, c_int};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use crate::byte_stream::ByteStream;
use crate::cancel::Interrupt;
use crate::dict::Dict;
use crate::packet::Packet;
use crate::raw::{self, sys};

/// Time that closing may take: a server is told good-bye, a dead one is not waited for.
const CLOSING: Duration = Duration::from_millis(300);

/// An open container or stream.
pub(crate) struct InputFormat {
    raw: NonNull<sys::AVFormatContext>,
    /// FFmpeg keeps its address; it is released after `drop` below has closed the context.
    interrupt: Arc<Interrupt>,
    /// What it reads from, if that is not FFmpeg's own; released after the context, too.
    _bytes: Option<ByteStream>,
}

// SAFETY: FFmpeg ties no context to a thread, the owner is alone with it, and the interrupt is made of atomics.
unsafe impl Send for InputFormat {}

impl InputFormat {
    /// Opens `target`, with FFmpeg's demuxer `format` or the one that it finds. Errors are FFmpeg's codes.
    pub(crate) fn open(
        target: &str,
        format: Option<&str>,
        options: Dict,
        interrupt: Arc<Interrupt>,
    ) -> Result<Self, c_int> {
        Self::open_with(target, format, options, interrupt, None, 0)
    }

    /// Opens a capture device that says [`raw::AGAIN`] while it has no picture. FFmpeg would wait for one where neither a
    /// deadline nor a cancellation reaches it.
    pub(crate) fn open_device(
        target: &str,
        format: &str,
        options: Dict,
        interrupt: Arc<Interrupt>,
    ) -> Result<Self, c_int> {
        Self::open_with(target, Some(format), options, interrupt, None, sys::AVFMT_FLAG_NONBLOCK)
    }

    /// Opens what `bytes` gives with the demuxer `format`.
    pub(crate) fn open_bytes(
        bytes: ByteStream,
        format: &str,
        options: Dict,
        interrupt: Arc<Interrupt>,
    ) -> Result<Self, c_int> {
        Self::open_with("", Some(format), options, interrupt, Some(bytes), 0)
    }

    fn open_with(
        target: &str,
        format: Option<&str>,
        mut options: Dict,
        interrupt: Arc<Interrupt>,
        bytes: Option<ByteStream>,
        flags: c_int,
    ) -> Result<Self, c_int> {
        let named = find_format(format)?;
        let target = CString::new(target).map_err(|_| sys::AVERROR_INVALIDDATA)?;
        // SAFETY: the context is fresh and owned here until `avformat_open_input` takes it over; that call frees it
        // when it fails. Target and options live during the call; the `Arc` of the interrupt
        // is held until the call has failed or, by `Self`, until the context is closed, and so are the bytes, which
        // FFmpeg leaves alone when it closes.
        let (code, raw) = unsafe {
            let mut raw = sys::avformat_alloc_context();
            if raw.is_null() {
                return Err(raw::NO_MEMORY);
            }
            (*raw).interrupt_callback = interrupt.callback();
            (*raw).flags |= flags;
            if let Some(bytes) = &bytes {
                (*raw).pb = bytes.as_ptr();
                (*raw).flags |= sys::AVFMT_FLAG_CUSTOM_IO;
            }
            let code = sys::avformat_open_input(&mut raw, target.as_ptr(), named, options.as_mut_ptr());
            (code, raw)
        };
        match NonNull::new(raw) {
            Some(raw) if code >= 0 => Ok(Self { raw, interrupt, _bytes: bytes }),
            _ => Err(code),
        }
    }

    /// Reads ahead until the streams are known.
    pub(crate) fn find_streams(&mut self) -> Result<(), c_int> {
        // A device without a picture is asked again at once, and the interrupt before each time.
        self.interrupt.slow_down(self.is_polled());
        // SAFETY: the context is open and exclusively borrowed; no options are given.
        let code = unsafe { sys::avformat_find_stream_info(self.raw.as_ptr(), ptr::null_mut()) };
        self.interrupt.slow_down(false);
        if code < 0 { Err(code) } else { Ok(()) }
    }

    /// Whether it says [`raw::AGAIN`] instead of waiting.
    fn is_polled(&self) -> bool {
        // SAFETY: an integer of an open context is read.
        unsafe { (*self.raw.as_ptr()).flags & sys::AVFMT_FLAG_NONBLOCK != 0 }
    }

    /// Reads the next packet of any stream that is not discarded.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<(), c_int> {
        // A line that the decoder logged on this thread says nothing of this read.
        crate::log::take();
        // SAFETY: the context is open and exclusively borrowed; the packet is blank.
        match unsafe { sys::av_read_frame(self.raw.as_ptr(), packet.as_mut_ptr()) } {
            code if code < 0 => Err(self.hidden_error(code)),
            _ => Ok(()),
        }
    }

    /// Demuxers report the end of the file for any failed read; the byte stream below remembers what it was.
    fn hidden_error(&self, code: c_int) -> c_int {
        // SAFETY: the context is open; its byte stream is null or live, and an `int` of it is read.
        let below = unsafe {
            let bytes = (*self.raw.as_ptr()).pb;
            if bytes.is_null() { 0 } else { (*bytes).error }
        };
        if code == sys::AVERROR_EOF && below < 0 { below } else { code }
    }

    /// Whether the byte stream below knows how long it is.
    pub(crate) fn has_length(&self) -> bool {
        // SAFETY: the context is open; its byte stream is null or live, and asking for a size reads nothing from it.
        unsafe {
            let bytes = (*self.raw.as_ptr()).pb;
            !bytes.is_null() && sys::avio_size(bytes) >= 0
        }
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::AVFormatContext {
        self.raw.as_ptr()
    }

    /// Number of streams that were found so far.
    pub(crate) fn streams(&self) -> usize {
        // SAFETY: an integer of an open context is read.
        unsafe { (*self.raw.as_ptr()).nb_streams as usize }
    }

    /// Stream `index`. The pointer lives as long as `self`.
    pub(crate) fn stream(&self, index: usize) -> Option<*mut sys::AVStream> {
        // SAFETY: the index is below the number of streams, so the array has that entry.
        (index < self.streams()).then(|| unsafe { *(*self.raw.as_ptr()).streams.add(index) })
    }

    /// Keeps the packets of the streams `wanted` and lets the demuxer throw the others away.
    pub(crate) fn keep_only(&mut self, wanted: &[usize]) {
        for index in (0..self.streams()).filter(|index| !wanted.contains(index)) {
            if let Some(stream) = self.stream(index) {
                // SAFETY: the stream is live and the context exclusively borrowed.
                unsafe { (*stream).discard = sys::AVDiscard::AVDISCARD_ALL };
            }
        }
    }

    /// The demuxer's short name, `mov,mp4,m4a,3gp,3g2,mj2` for example.
    pub(crate) fn name(&self) -> String {
        // SAFETY: an open context has a demuxer, whose name is static.
        unsafe { raw::text((*(*self.raw.as_ptr()).iformat).name) }.unwrap_or_default()
    }

    /// Samples that the container's index has for stream `index`; 0 without an index.
    pub(crate) fn indexed(&self, index: usize) -> u64 {
        let entries = self.stream(index).map_or(0, |stream| {
            // SAFETY: the stream is live.
            unsafe { sys::avformat_index_get_entries_count(stream) }
        });
        entries.max(0) as u64
    }
}

impl Drop for InputFormat {
    fn drop(&mut self) {
        self.interrupt.allow(CLOSING);
        let mut raw = self.raw.as_ptr();
        // SAFETY: the context is owned here and closed once; the interrupt is dropped after this function.
        unsafe { sys::avformat_close_input(&mut raw) };
    }
}

fn find_format(name: Option<&str>) -> Result<*const sys::AVInputFormat, c_int> {
    let Some(name) = name else { return Ok(ptr::null()) };
    let name = CString::new(name).map_err(|_| sys::AVERROR_DEMUXER_NOT_FOUND)?;
    // SAFETY: the name lives during the call; what is found is static.
    let found = unsafe { sys::av_find_input_format(name.as_ptr()) };
    if found.is_null() { Err(sys::AVERROR_DEMUXER_NOT_FOUND) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelToken;

    #[test]
    fn a_device_is_asked_and_not_waited_for() {
        crate::init();
        let open = |is_device: bool| {
            let (interrupt, options) = (Interrupt::new(CancelToken::new()), Dict::new());
            let target = "color=size=64x64";
            match is_device {
                true => InputFormat::open_device(target, "lavfi", options, interrupt).unwrap(),
                false => InputFormat::open(target, Some("lavfi"), options, interrupt).unwrap(),
            }
        };
        assert!(!open(false).is_polled());
        let mut device = open(true);
        assert!(device.is_polled());
        device.find_streams().unwrap();
        device.read(&mut Packet::new().unwrap()).unwrap();
        assert!(device.is_polled(), "it stays so while it is read");
    }
}
