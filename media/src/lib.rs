//! Video in and out: FFmpeg behind safe types.
//!
//! Three floors: [`ffmpeg-sys-next`] (C), one owner per pointer (`packet`, `frame`, `format`, `codec`), and the safe
//! types below. No type of the first floor is in a public signature, and nothing here knows what is done with a frame.
//!
//! Reading, from an address to frames whose account balances:
//!
//! ```no_run
//! use kinora_media::{Address, DecodeOptions, FrameReader, Item, OpenOptions};
//! let address = Address::parse("udp://0.0.0.0:5000")?;
//! let mut reader = FrameReader::open(&address, &OpenOptions::default(), &DecodeOptions::default())?;
//! loop {
//!     match reader.next_item() {
//!         Item::Frame(frame, meta) => println!("{} {}x{}", meta.index, frame.width(), frame.height()),
//!         Item::Lost(lost) => println!("{} lost: {}", lost.count, lost.reason),
//!         Item::End { error } => break println!("{error:?}, {:?}", reader.account()),
//!     }
//! }
//! # Ok::<(), kinora_media::MediaError>(())
//! ```
//!
//! - [`Address`] is parsed once; its `Display` never shows a password.
//! - [`Reach`] says which hosts may be connected to.
//! - [`Input`] opens it with a [`CancelToken`] and deadlines, and gives [`Packet`]s.
//! - [`VideoDecoder`] turns packets into [`Frame`]s; [`FrameReader`] joins the two and keeps the [`Account`].
//! - [`ElementaryDecoder`] takes access units that were received elsewhere, with the same account.
//! - [`Frame`] is a reference-counted picture whose planes are read in place ([`PixelLayout`], [`Plane`]).
//! - [`Mp4Writer`] encodes [`YuvImage`]s and sound to H.264 and AAC in MP4.
//! - [`raise_descriptor_limit`] lets the process open as much as it may.
//! - [`heap_use`] counts what FFmpeg and everybody else in the process has allocated.
//! - [`MediaError`] says who, what and where; its [`ErrorKind`] decides what to do.
//!
//! Written for FFmpeg 5.1 (Debian 12); the fields it reads exist from 5.1 to 6.1.
//!
//! [`ffmpeg-sys-next`]: https://docs.rs/ffmpeg-sys-next

mod account;
mod address;
mod byte_stream;
mod cancel;
mod codec;
mod convert;
mod decoder;
mod descriptors;
mod dict;
mod elementary;
mod encoder;
mod error;
mod format;
mod frame;
mod gpu_picture;
mod hardware;
mod heap;
mod image;
mod info;
mod input;
mod layout;
mod log;
mod mp4;
mod muxer;
mod packet;
mod raw;
mod raw_frame;
mod reach;
mod reader;
mod resolve;
mod settings;
mod strikes;
mod taint;
mod target;
#[cfg(test)]
mod testing;

pub use account::{Account, LossReason, Lost};
pub use address::{Address, Scheme};
pub use cancel::CancelToken;
pub use decoder::{DecodeOptions, VideoDecoder};
pub use descriptors::raise_descriptor_limit;
pub use elementary::{Decoded, ElementaryCodec, ElementaryDecoder, ElementaryUnit};
pub use error::{ErrorKind, MediaError};
pub use frame::{Frame, Plane};
pub use gpu_picture::{GpuPicture, GpuPlane};
pub use hardware::{Decoding, gpu_pictures_fetched};
pub use heap::{HeapUse, heap_use};
pub use image::YuvImage;
pub use info::{AudioInfo, TrackInfo, VideoInfo};
pub use input::{Input, OpenOptions};
pub use layout::{Chroma, ColorMatrix, ColorRange, PixelLayout};
pub use mp4::Mp4Writer;
pub use packet::{Packet, PacketKind};
pub use reach::Reach;
pub use reader::{FrameMeta, FrameReader, Item};
pub use settings::{AudioSettings, AudioTrack, Preset, VideoSettings};

/// Prepares FFmpeg: registers devices and takes its log away from standard error. Called by all that open something;
/// calling it again costs nothing.
pub fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        log::capture();
        // SAFETY: registration has no precondition; `Once` keeps two threads from registering at the same time.
        unsafe { raw::sys::avdevice_register_all() };
    });
}

/// The FFmpeg that is loaded, for example `FFmpeg 5.1.9 (avformat 59.27.100, avcodec 59.37.100)`.
pub fn version() -> String {
    // SAFETY: these functions have no precondition; the version text is a static C string.
    let (text, format, codec) = unsafe {
        (raw::text(raw::sys::av_version_info()), raw::sys::avformat_version(), raw::sys::avcodec_version())
    };
    let dotted = |v: u32| format!("{}.{}.{}", v >> 16, (v >> 8) & 0xff, v & 0xff);
    let text = text.unwrap_or_default();
    format!("FFmpeg {text} (avformat {}, avcodec {})", dotted(format), dotted(codec))
}

/// Frames travel between threads and are looked at from several; readers and writers move to a thread of their own.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn moved<T: Send>() {}
    shared::<(Frame, Packet, Address, CancelToken, AudioInfo, VideoInfo, MediaError)>();
    moved::<(Input, VideoDecoder, FrameReader, Mp4Writer)>();
};
