//! The owner of an `AVPacket`: a piece of a compressed stream, reference-counted by FFmpeg.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use crate::error::{ErrorKind, MediaError};
use crate::raw::{self, sys};

/// A packet of the chosen video stream (for H.264 and the like: one access unit) or of the audio stream.
#[derive(Debug)]
pub struct Packet {
    raw: NonNull<sys::AVPacket>,
    kind: PacketKind,
    time_base: (i32, i32),
}

/// Which stream a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// The video stream of the input.
    Video,
    /// Its audio stream, read only when asked for.
    Audio,
}

// SAFETY: a packet is a plain struct with a pointer to a reference-counted buffer; the count is atomic and nothing in
// it belongs to a thread.
unsafe impl Send for Packet {}
// SAFETY: through `&Packet` fields and bytes are only read.
unsafe impl Sync for Packet {}

impl Packet {
    /// An empty packet, to be filled by FFmpeg.
    pub(crate) fn new() -> Result<Self, MediaError> {
        // SAFETY: allocates; null when out of memory.
        let raw = NonNull::new(unsafe { sys::av_packet_alloc() });
        let raw = raw.ok_or_else(|| MediaError::no_memory("allocate a packet"))?;
        Ok(Self { raw, kind: PacketKind::Video, time_base: (0, 1) })
    }

    /// A packet of the video stream with a copy of these bytes.
    ///
    /// # Errors
    /// `Corrupt` for more bytes than FFmpeg takes; or memory is short.
    pub(crate) fn of_video(
        data: &[u8],
        pts: i64,
        is_key: bool,
        time_base: (i32, i32),
    ) -> Result<Self, MediaError> {
        let size = c_int::try_from(data.len())
            .map_err(|_| MediaError::new(ErrorKind::Corrupt, "an access unit is larger than 2 GB"))?;
        let mut packet = Self::new()?;
        packet.tag(PacketKind::Video, time_base);
        let raw = packet.as_mut_ptr();
        // SAFETY: the packet is blank and owned here; on success it has `size` writable bytes that nobody else refers
        // to, and the padding behind them is zeroed.
        unsafe {
            if sys::av_new_packet(raw, size) < 0 {
                return Err(MediaError::no_memory("allocate a packet"));
            }
            ptr::copy_nonoverlapping(data.as_ptr(), (*raw).data, data.len());
            (*raw).pts = pts;
            (*raw).flags = if is_key { sys::AV_PKT_FLAG_KEY } else { 0 };
        }
        Ok(packet)
    }

    /// Another reference to the same bytes.
    pub(crate) fn share(&self) -> Result<Self, MediaError> {
        let mut copy = Self::new()?;
        copy.tag(self.kind, self.time_base);
        // SAFETY: both are allocated packets, the destination is blank.
        match unsafe { sys::av_packet_ref(copy.raw.as_ptr(), self.raw.as_ptr()) } {
            0 => Ok(copy),
            _ => Err(MediaError::no_memory("share a packet")),
        }
    }

    /// Moves both timestamps by `ticks`.
    pub(crate) fn shift(&mut self, ticks: i64) {
        let raw = self.raw.as_ptr();
        // SAFETY: plain fields of an owned packet.
        unsafe {
            for time in [&raw mut (*raw).pts, &raw mut (*raw).dts] {
                if *time != raw::NO_PTS {
                    *time = (*time).saturating_add(ticks);
                }
            }
        }
    }

    pub(crate) fn tag(&mut self, kind: PacketKind, time_base: (i32, i32)) {
        (self.kind, self.time_base) = (kind, time_base);
    }

    pub(crate) fn as_ptr(&self) -> *const sys::AVPacket {
        self.raw.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut sys::AVPacket {
        self.raw.as_ptr()
    }

    /// The index of the packet's stream in its container.
    pub(crate) fn stream_index(&self) -> usize {
        // SAFETY: `raw` is an allocated packet; an `int` is read.
        usize::try_from(unsafe { (*self.raw.as_ptr()).stream_index }).unwrap_or(usize::MAX)
    }

    /// The stream that it belongs to.
    pub fn kind(&self) -> PacketKind {
        self.kind
    }

    /// Presentation timestamp in ticks of [`Packet::time_base`].
    pub fn pts(&self) -> Option<i64> {
        // SAFETY: `raw` is an allocated packet; an integer is read.
        raw::timestamp(unsafe { (*self.raw.as_ptr()).pts })
    }

    /// Decoding timestamp in ticks of [`Packet::time_base`].
    pub fn dts(&self) -> Option<i64> {
        // SAFETY: as in `pts`.
        raw::timestamp(unsafe { (*self.raw.as_ptr()).dts })
    }

    /// Duration in ticks of [`Packet::time_base`], 0 when unknown.
    pub fn duration(&self) -> i64 {
        // SAFETY: as in `pts`.
        unsafe { (*self.raw.as_ptr()).duration }
    }

    /// Seconds a tick, as (numerator, denominator).
    pub fn time_base(&self) -> (i32, i32) {
        self.time_base
    }

    /// Bytes of compressed data.
    pub fn size(&self) -> usize {
        self.data().len()
    }

    /// The compressed data.
    pub fn data(&self) -> &[u8] {
        // SAFETY: FFmpeg keeps `size` readable bytes at `data`, or null with size 0; they are not written while a
        // reference is held, and `self` holds one.
        unsafe {
            let (data, size) = ((*self.raw.as_ptr()).data, (*self.raw.as_ptr()).size);
            if data.is_null() { &[] } else { std::slice::from_raw_parts(data, size.max(0) as usize) }
        }
    }

    /// Whether decoding can begin here.
    pub fn is_key(&self) -> bool {
        self.flag(sys::AV_PKT_FLAG_KEY)
    }

    /// Whether the container knows that bytes are missing or wrong.
    pub fn is_corrupt(&self) -> bool {
        self.flag(sys::AV_PKT_FLAG_CORRUPT)
    }

    /// Whether the container says that it is needed for decoding only and not to be shown (an edit list does so).
    pub fn is_discard(&self) -> bool {
        self.flag(sys::AV_PKT_FLAG_DISCARD)
    }

    fn flag(&self, flag: i32) -> bool {
        // SAFETY: `raw` is an allocated packet; an `int` is read.
        unsafe { (*self.raw.as_ptr()).flags & flag != 0 }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut raw = self.raw.as_ptr();
        // SAFETY: the packet is owned here and freed once; its buffer loses one reference.
        unsafe { sys::av_packet_free(&mut raw) };
    }
}
