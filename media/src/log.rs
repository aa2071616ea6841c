//! FFmpeg's log: never printed, but the last error line of a thread is kept to make its error message better.

use std::cell::RefCell;

use crate::raw::sys;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Takes the log over, for the whole process.
pub(crate) fn capture() {
    // SAFETY: the callback has the signature that FFmpeg calls it with, is thread-safe and never unwinds.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    unsafe {
        sys::av_log_set_callback(Some(keep));
    }
    // Where a `va_list` has another shape the lines are given up; silence is what matters.
    // SAFETY: sets an integer.
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    unsafe {
        sys::av_log_set_level(sys::AV_LOG_QUIET);
    }
}

/// The last error line that this thread saw, and forgets it.
pub(crate) fn take() -> Option<String> {
    LAST.try_with(|last| last.try_borrow_mut().map(|mut line| std::mem::take(&mut *line)).ok())
        .ok()
        .flatten()
        .filter(|line| !line.is_empty())
}

/// Nothing in it can panic: no borrow is waited for, no index taken, and a thread that is ending is passed over.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
unsafe extern "C" fn keep(
    class: *mut std::ffi::c_void,
    level: std::ffi::c_int,
    format: *const std::ffi::c_char,
    arguments: *mut sys::__va_list_tag,
) {
    if level > sys::AV_LOG_ERROR {
        return;
    }
    let mut buffer: [std::ffi::c_char; 512] = [0; 512];
    let mut prefix = 1;
    // SAFETY: the first four arguments are FFmpeg's own; the buffer has the given size and is ended with a zero.
    let line = unsafe {
        let size = buffer.len() as std::ffi::c_int;
        sys::av_log_format_line2(class, level, format, arguments, buffer.as_mut_ptr(), size, &mut prefix);
        crate::raw::text(buffer.as_ptr())
    };
    let Some(line) = line else { return };
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = printable(without_prefix(&line));
        }
    });
}

/// Cuts `[mov,mp4 @ 0x55d0] ` off: the address changes with each run and tells an operator nothing.
fn without_prefix(mut line: &str) -> &str {
    while line.starts_with('[')
        && let Some((prefix, rest)) = line.split_once("] ")
        && prefix.contains(" @ 0x")
    {
        line = rest;
    }
    line.trim()
}

/// Each control character becomes U+FFFD: a server or a file may have put it there. Terminals obey some of them.
fn printable(line: &str) -> String {
    line.replace(|character: char| character.is_ascii_control(), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_without_control_characters() {
        capture();
        let line = c"HTTP error 404 Not\x1b[2J\rFound\x7f\n";
        // SAFETY: no class is needed; the text is a C string without a conversion.
        unsafe { sys::av_log(std::ptr::null_mut(), sys::AV_LOG_ERROR, line.as_ptr()) };
        assert_eq!(take().as_deref(), Some("HTTP error 404 Not\u{fffd}[2J\u{fffd}Found\u{fffd}"));
    }

    #[test]
    fn prefixes_with_addresses_are_cut() {
        assert_eq!(without_prefix("[a @ 0x1] [b @ 0x2f] moov atom not found\n"), "moov atom not found");
        assert_eq!(without_prefix("[x] y"), "[x] y");
    }
}
