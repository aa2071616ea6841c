//! The owner of an `AVFormatContext` that writes an MP4 file.

use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr::{self, NonNull};

use crate::codec::{CodecContext, CodecParameters};
use crate::dict::Dict;
use crate::error::{ErrorKind, MediaError};
use crate::packet::Packet;
use crate::raw::{self, sys};

/// An MP4 file that is being written.
pub(crate) struct Muxer {
    raw: NonNull<sys::AVFormatContext>,
    who: String,
}

// SAFETY: FFmpeg ties no context to a thread, and the owner is alone with it.
unsafe impl Send for Muxer {}

impl Muxer {
    /// Creates (or empties) the file `path`, which errors call `name`.
    pub(crate) fn create(path: &Path, name: &Path) -> Result<Self, MediaError> {
        let who = format!("write `{}`", name.display());
        let url = path.to_str().and_then(|path| CString::new(format!("file:{path}")).ok());
        let url = url.ok_or_else(|| {
            MediaError::new(ErrorKind::InvalidSettings, format!("cannot {who}: the path is not UTF-8"))
        })?;
        let mut raw = ptr::null_mut();
        // SAFETY: both strings live during the call; the context that it makes is owned by `Self` from here on.
        let code = unsafe {
            sys::avformat_alloc_output_context2(&mut raw, ptr::null(), c"mp4".as_ptr(), url.as_ptr())
        };
        let raw = NonNull::new(raw).ok_or_else(|| MediaError::from_code(code, &who, ErrorKind::NotMedia))?;
        let muxer = Self { raw, who };
        // SAFETY: the context is fresh and owned; the URL lives during the call.
        muxer.checked(unsafe {
            (*raw.as_ptr()).flags |= sys::AVFMT_FLAG_BITEXACT;
            sys::avio_open(&raw mut (*raw.as_ptr()).pb, url.as_ptr(), sys::AVIO_FLAG_WRITE)
        })?;
        Ok(muxer)
    }

    /// Sets a tag of the file, before the header is written.
    pub(crate) fn set_metadata(&mut self, key: &str, value: &str) {
        let mut dict = Dict::new();
        dict.set(key, value);
        // SAFETY: the context owns its metadata and frees it; what was there before is freed here.
        unsafe {
            let metadata = &raw mut (*self.raw.as_ptr()).metadata;
            sys::av_dict_free(metadata);
            *metadata = dict.into_raw();
        }
    }

    /// Adds a stream of what `encoder` makes; gives its index.
    pub(crate) fn add_encoded(&mut self, encoder: &CodecContext) -> Result<usize, MediaError> {
        let (index, stream) = self.add_stream()?;
        // SAFETY: the stream is fresh, its parameters are allocated; the encoder is open.
        self.checked(unsafe {
            (*stream).time_base = (*encoder.as_ptr()).time_base;
            (*stream).avg_frame_rate = (*encoder.as_ptr()).framerate;
            sys::avcodec_parameters_from_context((*stream).codecpar, encoder.as_ptr())
        })?;
        Ok(index)
    }

    /// Adds a stream that is copied from elsewhere; gives its index.
    pub(crate) fn add_copied(
        &mut self,
        parameters: &CodecParameters,
        time_base: (i32, i32),
    ) -> Result<usize, MediaError> {
        // SAFETY: the output format of the context is static; any codec number may be asked for. 0 is "normal".
        let allowed = unsafe { raw::query_codec((*self.raw.as_ptr()).oformat, parameters.codec_id(), 0) };
        if allowed != 1 {
            let name = raw::codec_name(parameters.codec_id());
            let message = format!("cannot {}: MP4 cannot hold {name}; encode it to AAC instead", self.who);
            return Err(MediaError::new(ErrorKind::UnsupportedCodec, message));
        }
        let (index, stream) = self.add_stream()?;
        // SAFETY: the stream is fresh and its parameters are allocated. The tag is another container's and left to MP4.
        self.checked(unsafe {
            (*stream).time_base = raw::rational(time_base);
            let code = sys::avcodec_parameters_copy((*stream).codecpar, parameters.as_ptr());
            (*(*stream).codecpar).codec_tag = 0;
            code
        })?;
        Ok(index)
    }

    /// Writes the header; the streams are complete.
    pub(crate) fn begin(&mut self) -> Result<(), MediaError> {
        let mut options = Dict::new();
        // The index goes to the front, so that a browser can play before it has all.
        options.set("movflags", "+faststart");
        // SAFETY: the context has its streams and its file; the options live during the call.
        self.checked(unsafe { sys::avformat_write_header(self.raw.as_ptr(), options.as_mut_ptr()) })
    }

    /// Writes a packet of stream `index` whose timestamps count in `time_base`.
    pub(crate) fn write(
        &mut self,
        packet: &mut Packet,
        index: usize,
        time_base: (i32, i32),
    ) -> Result<(), MediaError> {
        // SAFETY: `index` is one that `add_*` gave, the header is written, the packet is owned by the caller; the call
        // takes its reference to the bytes and leaves it blank.
        self.checked(unsafe {
            let (context, raw) = (self.raw.as_ptr(), packet.as_mut_ptr());
            let stream = *(*context).streams.add(index);
            sys::av_packet_rescale_ts(raw, raw::rational(time_base), (*stream).time_base);
            (*raw).stream_index = index as c_int;
            (*raw).pos = -1;
            sys::av_interleaved_write_frame(context, raw)
        })
    }

    /// Writes what is buffered and the index, and closes the file.
    pub(crate) fn finish(self) -> Result<(), MediaError> {
        // SAFETY: the header was written; the trailer is written once, for `self` is consumed.
        self.checked(unsafe { sys::av_write_trailer(self.raw.as_ptr()) })?;
        // SAFETY: the file is open; it is null afterwards. Closing tells of errors of writes that were buffered.
        self.checked(unsafe { sys::avio_closep(&raw mut (*self.raw.as_ptr()).pb) })
    }

    fn add_stream(&mut self) -> Result<(usize, *mut sys::AVStream), MediaError> {
        // SAFETY: the context is owned; the stream belongs to it.
        let stream = unsafe { sys::avformat_new_stream(self.raw.as_ptr(), ptr::null()) };
        if stream.is_null() {
            return Err(MediaError::no_memory(&self.who));
        }
        // SAFETY: the stream is not null; FFmpeg has given it its index, which is not negative.
        Ok((unsafe { (*stream).index } as usize, stream))
    }

    fn checked(&self, code: c_int) -> Result<(), MediaError> {
        if code < 0 {
            Err(MediaError::from_code(code, &self.who, ErrorKind::InvalidSettings))
        } else {
            Ok(())
        }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        // SAFETY: context and file are owned here and freed once; a file that is closed already is null.
        unsafe {
            sys::avio_closep(&raw mut (*self.raw.as_ptr()).pb);
            sys::avformat_free_context(self.raw.as_ptr());
        }
    }
}
