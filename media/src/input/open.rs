//! Opens what an address names: a look at a file, the numbers of a host, FFmpeg's own opening.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::OpenOptions;
use crate::address::{Address, Scheme};
use crate::cancel::Interrupt;
use crate::error::{ErrorKind, MediaError};
use crate::format::InputFormat;
use crate::raw::sys;

/// Playlists and their like name other addresses to open; a source is what its own address says and nothing else.
const PLAYLISTS: [&str; 8] =
    ["concat", "hls", "dash", "sdp", "imf", "vapoursynth", "webm_dash_manifest", "libgme"];

/// Opens the first of a host's numbers that may be connected to and answers.
///
/// # Errors
/// `OutOfReach` when none of them may; otherwise as [`format()`].
pub(super) fn within(
    address: &Address,
    host: &str,
    numbers: &[IpAddr],
    interrupt: &Arc<Interrupt>,
    options: &OpenOptions,
) -> Result<InputFormat, MediaError> {
    let message = format!("the host `{host}` is in a network that the configuration forbids to sources");
    let mut last = MediaError::new(ErrorKind::OutOfReach, message);
    // Nobody is connected to at the address where a listener waits, which says "any" as a rule.
    let query = address.target().split_once('?').map_or("", |(_, query)| query);
    let mode = query.split('&').find_map(|pair| pair.strip_prefix("mode="));
    let waits = address.scheme() == Scheme::Srt && mode == Some("listener");
    let is_any = |number: &IpAddr| waits && number.is_unspecified();
    let may = |number: &&IpAddr| is_any(number) || options.reach.allows(**number);
    // Of a name that it is given FFmpeg may take any number.
    if address.scheme() == Scheme::Https && !numbers.iter().all(|number| may(&number)) {
        return Err(last);
    }
    let allowed: Vec<IpAddr> = numbers.iter().filter(may).copied().collect();
    let end = Instant::now() + interrupt.time_left();
    for (index, number) in allowed.iter().enumerate() {
        // A number that swallows packets must not take the time of those behind it.
        let left = u32::try_from(allowed.len() - index).unwrap_or(u32::MAX);
        interrupt.allow(end.saturating_duration_since(Instant::now()) / left);
        let is_away = |kind| matches!(kind, ErrorKind::Refused | ErrorKind::Unreachable | ErrorKind::Timeout);
        match format(&address.at(*number), Arc::clone(interrupt), options) {
            Err(error) if left > 1 && is_away(error.kind()) => last = error,
            opened => return opened,
        }
    }
    Err(last)
}

/// Opens an address as it stands, and reads until its streams are known.
///
/// # Errors
/// What FFmpeg says, in words.
pub(super) fn format(
    address: &Address,
    interrupt: Arc<Interrupt>,
    options: &OpenOptions,
) -> Result<InputFormat, MediaError> {
    let what = &*format!("open `{address}`");
    // What an earlier call left in the log is not ours.
    crate::log::take();
    // A server that hangs up leaves nothing to recognise; that may be better at the next try.
    let invalid = if address.scheme() == Scheme::Tcp { ErrorKind::Disconnected } else { ErrorKind::NotMedia };
    let fail = |code, interrupt: &Interrupt| match interrupt.error(what, options.open_timeout) {
        Some(error) => error,
        None if code == sys::AVERROR_EXIT => interrupt.error_after(what, options.open_timeout),
        None => MediaError::from_code_and_log(code, what, invalid, |line| address.clean(line)),
    };
    let (demuxer, dict) = super::options::of(address, &options.reach);
    let (target, own) = (address.target(), Arc::clone(&interrupt));
    let opened = match (address.scheme(), demuxer) {
        (Scheme::Device, Some(demuxer)) => InputFormat::open_device(target, demuxer, dict, own),
        _ => InputFormat::open(target, demuxer, dict, own),
    };
    let mut opened = opened.map_err(|code| fail(code, &interrupt))?;
    let name = opened.name();
    if name.split(',').any(|name| PLAYLISTS.contains(&name)) {
        let message =
            format!("cannot {what}: it is a playlist ({name}); give the address of the video itself");
        return Err(MediaError::new(ErrorKind::NotMedia, message));
    }
    let found = opened.find_streams();
    // Interrupted, it may still report success with what it knows.
    if let Some(error) = opened.interrupt().error(what, options.open_timeout) {
        return Err(error);
    }
    found.map_err(|code| fail(code, opened.interrupt()))?;
    Ok(opened)
}

/// What can be told of a file without FFmpeg, whose messages for these cases are poor.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn check_file(address: &Address) -> Result<(), MediaError> {
    let Some(path) = address.path() else { return Ok(()) };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => MediaError::new(ErrorKind::NotFound, format!("there is no file `{path}`")),
        io::ErrorKind::PermissionDenied => {
            let message = format!("the file `{path}` may not be read by this user: permission denied");
            MediaError::new(ErrorKind::PermissionDenied, message)
        }
        _ => {
            let code = error.raw_os_error().unwrap_or(0);
            MediaError::new(ErrorKind::Other(-code), format!("cannot open `{path}`: {error}"))
        }
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        let message = format!("`{path}` is a directory; a media file is needed");
        return Err(MediaError::new(ErrorKind::IsDirectory, message));
    }
    if metadata.file_type().is_fifo() && !is_own_descriptor(path) {
        // open(2) waits for a writer, and neither a deadline nor a cancellation reaches it there.
        let message = format!(
            "`{path}` is a named pipe, which cannot be waited for with a deadline; \
             give the stream on standard input (/dev/stdin) or by udp:// or tcp://"
        );
        return Err(MediaError::new(ErrorKind::BadAddress, message));
    }
    if metadata.is_file() {
        fs::File::open(path).map_err(failed)?;
        if metadata.len() == 0 {
            return Err(MediaError::new(ErrorKind::Empty, format!("the file `{path}` is empty (0 bytes)")));
        }
    }
    Ok(())
}

/// Whether a path names a descriptor that this process has open already: opening it again does not wait.
fn is_own_descriptor(path: &str) -> bool {
    path == "/dev/stdin"
        || ["/dev/fd", "/proc/self/fd"].iter().any(|folder| Path::new(path).starts_with(folder))
}
