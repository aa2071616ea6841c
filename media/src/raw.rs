//! The ground floor: what every owner needs of FFmpeg's C interface, and the rules for touching it.
//!
//! Rules: (1) C structs are read through raw pointers, never through `&`, because FFmpeg goes on writing to them.
//! (2) Enumerations cross the border as integers. bindgen makes Rust enums of them, and a value that this header does
//! not know (a newer library, a wild bitstream) would be undefined behaviour; so fields are read as integers with
//! [`int`], and functions that take an enumeration are declared here again with `c_int` in its place.

use std::ffi::{CStr, c_char, c_int, c_void};

pub(crate) use ffmpeg_sys_next as sys;

/// FFmpeg's "no timestamp". The header's macro does not survive bindgen.
pub(crate) const NO_PTS: i64 = i64::MIN;
/// "Call again": a decoder that needs input, a device without a picture.
pub(crate) const AGAIN: c_int = sys::AVERROR(sys::EAGAIN);
/// "Input/output error": also what FFmpeg says for many things that have no name of their own.
pub(crate) const IO_ERROR: c_int = sys::AVERROR(sys::EIO);
/// Out of memory.
pub(crate) const NO_MEMORY: c_int = sys::AVERROR(sys::ENOMEM);

unsafe extern "C" {
    #[link_name = "av_pix_fmt_desc_get"]
    pub(crate) fn pixel_descriptor(format: c_int) -> *const sys::AVPixFmtDescriptor;
    #[link_name = "avcodec_find_decoder"]
    pub(crate) fn find_decoder(id: c_int) -> *const sys::AVCodec;
    #[link_name = "avcodec_get_name"]
    fn codec_name_of(id: c_int) -> *const c_char;
    #[link_name = "avcodec_profile_name"]
    fn profile_name_of(id: c_int, profile: c_int) -> *const c_char;
    #[link_name = "avformat_query_codec"]
    pub(crate) fn query_codec(format: *const sys::AVOutputFormat, id: c_int, strict: c_int) -> c_int;
    #[link_name = "sws_getCachedContext"]
    pub(crate) fn sws_cached(
        context: *mut sys::SwsContext,
        source_width: c_int,
        source_height: c_int,
        source_format: c_int,
        width: c_int,
        height: c_int,
        format: c_int,
        flags: c_int,
        source_filter: *mut c_void,
        filter: *mut c_void,
        param: *const f64,
    ) -> *mut sys::SwsContext;
}

/// Reads an enumeration's field as an integer.
///
/// # Safety
/// `field` points to a live C enumeration, which has the size of an `int` on every target of FFmpeg.
pub(crate) unsafe fn int<E>(field: *const E) -> c_int {
    const { assert!(size_of::<E>() == size_of::<c_int>()) };
    // SAFETY: the caller vouches for the pointer, and the assertion for the size.
    unsafe { field.cast::<c_int>().read() }
}

/// A C string as text; `None` for a null pointer.
///
/// # Safety
/// `pointer` is null or a C string that lives during the call.
pub(crate) unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: not null, and a C string as the caller says.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

/// A codec's short name, `h264` for example.
pub(crate) fn codec_name(id: c_int) -> String {
    // SAFETY: any integer is allowed, an unknown one is called "unknown_codec"; the name is static.
    unsafe { text(codec_name_of(id)) }.unwrap_or_default()
}

/// The name of a codec's profile, `High` for example, if it has one.
pub(crate) fn profile_name(id: c_int, profile: c_int) -> Option<String> {
    // SAFETY: any integers are allowed and give null when unknown; the name is static.
    unsafe { text(profile_name_of(id, profile)) }
}

/// A pixel format's name, `yuv420p` for example.
pub(crate) fn pixel_name(format: c_int) -> String {
    // SAFETY: any integer is allowed and gives null when unknown; a descriptor is static.
    let descriptor = unsafe { pixel_descriptor(format) };
    if descriptor.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: the descriptor is not null, static, and so is the name in it.
    unsafe { text((*descriptor).name) }.unwrap_or_default()
}

/// FFmpeg's own words for an error code.
pub(crate) fn error_text(code: c_int) -> String {
    let mut buffer: [c_char; 128] = [0; 128];
    // SAFETY: the buffer has the size that is given, and `av_strerror` ends it with a zero in every case.
    unsafe {
        sys::av_strerror(code, buffer.as_mut_ptr(), buffer.len());
        text(buffer.as_ptr()).unwrap_or_default()
    }
}

/// A timestamp, `None` when FFmpeg has none.
pub(crate) fn timestamp(value: i64) -> Option<i64> {
    (value != NO_PTS).then_some(value)
}

/// A fraction as (numerator, denominator).
pub(crate) fn pair(value: sys::AVRational) -> (i32, i32) {
    (value.num, value.den)
}

/// (numerator, denominator) as FFmpeg's fraction.
pub(crate) fn rational((num, den): (i32, i32)) -> sys::AVRational {
    sys::AVRational { num, den }
}

/// `value` ticks of `base` in microseconds, rounded towards zero; `None` for a base without a denominator.
pub(crate) fn micros(value: i64, base: (i32, i32)) -> Option<i64> {
    let us = i128::from(value) * i128::from(base.0) * 1_000_000;
    (base.1 != 0).then(|| us / i128::from(base.1)).and_then(|us| i64::try_from(us).ok())
}
