//! The owner of an `AVIOContext` that reads what somebody else receives.

use std::ffi::{c_int, c_void};
use std::io::{ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::cancel::Interrupt;
use crate::error::MediaError;
use crate::raw::sys;

/// Bytes that FFmpeg asks for at once: seven packets of a transport stream, what one datagram holds. Larger would be
/// waited for.
const BUFFER: usize = 7 * 188;

/// A reader in FFmpeg's clothes. It never seeks.
pub(crate) struct ByteStream {
    raw: NonNull<sys::AVIOContext>,
    /// What the callback gets. A raw pointer, not a box: FFmpeg writes through it while this value moves about.
    source: NonNull<Source>,
}

/// Where the bytes come from, and until when they are asked for. FFmpeg looks at no interrupt between two reads of bytes
/// that are not its own, and a transport stream may go on for ever without a picture.
struct Source {
    reader: Box<dyn Read + Send>,
    interrupt: Arc<Interrupt>,
}

// SAFETY: FFmpeg ties no byte stream to a thread, the owner is alone with it, and the reader may be sent.
unsafe impl Send for ByteStream {}

impl ByteStream {
    pub(crate) fn new(reader: Box<dyn Read + Send>, interrupt: Arc<Interrupt>) -> Result<Self, MediaError> {
        let no_memory = || MediaError::no_memory("allocate a byte stream");
        let source = NonNull::from(Box::leak(Box::new(Source { reader, interrupt })));
        // SAFETY: allocates; null when out of memory.
        let buffer = unsafe { sys::av_malloc(BUFFER) }.cast::<u8>();
        // SAFETY: the buffer has that size (or is null, and then the call is not made) and goes over to the context; the
        // callback casts the opaque pointer back to what it is, which lives until `drop` has freed the context.
        let raw = (!buffer.is_null()).then(|| unsafe {
            let opaque = source.as_ptr().cast::<c_void>();
            sys::avio_alloc_context(buffer, BUFFER as c_int, 0, opaque, Some(read), None, None)
        });
        match raw.and_then(NonNull::new) {
            Some(raw) => Ok(Self { raw, source }),
            None => {
                // SAFETY: nobody took them: the buffer is null or FFmpeg's, the source was leaked above.
                unsafe {
                    sys::av_free(buffer.cast());
                    drop(Box::from_raw(source.as_ptr()));
                }
                Err(no_memory())
            }
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::AVIOContext {
        self.raw.as_ptr()
    }
}

impl Drop for ByteStream {
    fn drop(&mut self) {
        let mut raw = self.raw.as_ptr();
        // SAFETY: context and source are owned here and freed once, the context first, since it knows the source. The
        // buffer may be another one than at the beginning; it is the context's own.
        unsafe {
            sys::av_freep((&raw mut (*raw).buffer).cast());
            sys::avio_context_free(&mut raw);
            drop(Box::from_raw(self.source.as_ptr()));
        }
        debug_assert_eq!(raw, ptr::null_mut());
    }
}

/// Called by FFmpeg on the thread that reads. A panic of the reader stays on this side.
unsafe extern "C" fn read(opaque: *mut c_void, buffer: *mut u8, size: c_int) -> c_int {
    let Some(size) = usize::try_from(size).ok().filter(|&size| size > 0) else { return 0 };
    // SAFETY: `opaque` is the source that `new` leaked; it lives until the context is freed, and FFmpeg calls this from
    // within calls on the context, to which its owner has exclusive access.
    let Source { reader, interrupt } = unsafe { &mut *opaque.cast::<Source>() };
    if interrupt.fired().is_some() {
        return sys::AVERROR_EXIT;
    }
    // SAFETY: FFmpeg gives `size` bytes to write to. They are zeroed first, since a reader may look at them.
    let buffer = unsafe {
        ptr::write_bytes(buffer, 0, size);
        std::slice::from_raw_parts_mut(buffer, size)
    };
    loop {
        return match catch_unwind(AssertUnwindSafe(|| reader.read(buffer))) {
            Ok(Ok(0)) => sys::AVERROR_EOF,
            Ok(Ok(count)) => c_int::try_from(count.min(size)).unwrap_or(sys::AVERROR_BUG),
            Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(Err(error)) if error.kind() == ErrorKind::TimedOut => sys::AVERROR(sys::ETIMEDOUT),
            Ok(Err(_)) => sys::AVERROR(sys::ECONNRESET),
            Err(_) => sys::AVERROR_BUG,
        };
    }
}
