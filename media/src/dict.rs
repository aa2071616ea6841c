//! FFmpeg's dictionary: options that a call reads, and those it did not know.

use std::ffi::CString;
use std::ptr;

use crate::raw::{self, sys};

/// Owns an `AVDictionary`.
pub(crate) struct Dict(*mut sys::AVDictionary);

impl Dict {
    /// An empty one; FFmpeg's empty dictionary is a null pointer.
    pub(crate) fn new() -> Self {
        Self(ptr::null_mut())
    }

    /// Sets `key`; a text with a zero byte in it cannot be said in C and is left out.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        if let (Ok(key), Ok(value)) = (CString::new(key), CString::new(value)) {
            // SAFETY: both strings live during the call, which copies them. It fails only without memory, and then
            // the option is missing, as if it were unknown.
            unsafe { sys::av_dict_set(&mut self.0, key.as_ptr(), value.as_ptr(), 0) };
        }
    }

    /// The value that was set for `key`.
    #[cfg(test)]
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        // SAFETY: the dictionary is owned here and live; null is an empty one.
        unsafe { value(self.0, key) }
    }

    /// For calls that take a dictionary and leave in it what they did not know.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut *mut sys::AVDictionary {
        &mut self.0
    }

    /// Hands the dictionary over to a struct of C that will free it.
    pub(crate) fn into_raw(mut self) -> *mut sys::AVDictionary {
        std::mem::replace(&mut self.0, ptr::null_mut())
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        // SAFETY: the dictionary is owned here; null is allowed.
        unsafe { sys::av_dict_free(&mut self.0) };
    }
}

/// A value of a dictionary that belongs to somebody else.
///
/// # Safety
/// `dict` is null or a live dictionary.
pub(crate) unsafe fn value(dict: *const sys::AVDictionary, key: &str) -> Option<String> {
    let key = CString::new(key).ok()?;
    // SAFETY: the dictionary is live as the caller says, the key lives during the call, and the entry until the
    // dictionary is changed, which nobody does meanwhile.
    unsafe {
        let entry = sys::av_dict_get(dict, key.as_ptr(), ptr::null(), 0);
        if entry.is_null() { None } else { raw::text((*entry).value) }
    }
}
