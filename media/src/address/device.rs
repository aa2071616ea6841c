//! Capture devices: `device:/dev/video0?size=1280x720&rate=30&format=mjpeg`, and libavdevice's test pictures.

use super::{Address, Scheme, bad};
use crate::error::MediaError;

/// The sources that lavfi may make by itself; none of them reads a file.
const SYNTHETIC: [&str; 9] = [
    "testsrc",
    "testsrc2",
    "color",
    "smptebars",
    "smptehdbars",
    "rgbtestsrc",
    "yuvtestsrc",
    "mandelbrot",
    "nullsrc",
];

/// Pixels in a row and rows of the largest picture that may be asked for.
const LARGEST: u32 = 16_384;
/// Frames a second that may be asked for.
const FASTEST: u32 = 1_000;

/// What a device is asked for; what is left out is its own choice. It may give another size than the one that it is
/// asked for: what counts is what its frames have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capture {
    /// `1280x720`.
    pub(crate) size: Option<String>,
    /// Frames a second: `30` or `30000/1001`.
    pub(crate) rate: Option<String>,
    /// FFmpeg's name of a pixel format or a codec: `yuyv422`, `mjpeg`, `h264`.
    pub(crate) format: Option<String>,
}

impl Capture {
    /// Reads what is behind the `?`.
    fn read(query: &str, shown: &str) -> Result<Self, MediaError> {
        let mut capture = Self::default();
        for (name, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            let (field, is_good) = match name {
                "size" => (&mut capture.size, is_size(value)),
                "rate" => (&mut capture.rate, is_rate(value)),
                "format" => (&mut capture.format, is_name(value)),
                _ => {
                    return Err(bad(format!(
                        "`{shown}`: a device has no `{name}`; size=1280x720, rate=30 and format=mjpeg may be chosen"
                    )));
                }
            };
            if !is_good {
                return Err(bad(format!(
                    "`{shown}`: `{value}` is no {name}; size is 1280x720, rate is 30 or 30000/1001, format is mjpeg, \
                     yuyv422 or another of FFmpeg's names"
                )));
            }
            *field = Some(value.to_owned());
        }
        Ok(capture)
    }
}

/// The device behind `device:`.
///
/// # Errors
/// `BadAddress` for what is no device, and for a choice that no device has.
pub(super) fn parse(rest: &str) -> Result<Address, MediaError> {
    let shown = format!("device:{rest}");
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let capture = query.map(|query| Capture::read(query, &shown)).transpose()?.unwrap_or_default();
    if let Some(graph) = place.strip_prefix("lavfi:") {
        return synthetic(graph, &capture, shown);
    }
    if !place.starts_with("/dev/") || place.contains("..") {
        return Err(bad(format!("`{shown}`: a device is a path below /dev, device:/dev/video0 for example")));
    }
    Ok(Address { scheme: Scheme::Device, target: place.to_owned(), shown, remote: None, capture })
}

/// A graph could open any file (`movie=`); one source without a chain cannot.
fn synthetic(graph: &str, capture: &Capture, shown: String) -> Result<Address, MediaError> {
    let name = graph.split('=').next().unwrap_or_default();
    if !SYNTHETIC.contains(&name) || graph.contains([',', ';', '[']) {
        let known = SYNTHETIC.join(", ");
        return Err(bad(format!("`{shown}`: one test source is allowed, with its options: {known}")));
    }
    if capture.format.is_some() {
        return Err(bad(format!("`{shown}`: a test source has one format; a device below /dev has several")));
    }
    let chosen = [("size", &capture.size), ("rate", &capture.rate)];
    let mut target = graph.to_owned();
    for (name, value) in chosen.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        // The first option follows the source's name, the others each other.
        target += if target.contains('=') { ":" } else { "=" };
        target += &format!("{name}={value}");
    }
    Ok(Address { scheme: Scheme::Synthetic, target, shown, remote: None, capture: Capture::default() })
}

fn is_size(text: &str) -> bool {
    let is_side =
        |side: &str| is_number(side) && side.parse().is_ok_and(|side| (1..=LARGEST).contains(&side));
    text.split_once('x').is_some_and(|(width, height)| is_side(width) && is_side(height))
}

fn is_rate(text: &str) -> bool {
    let (number, divisor) = text.split_once('/').unwrap_or((text, "1"));
    let parsed = |text: &str| text.parse::<u32>().ok().filter(|&value| value > 0 && is_number(text));
    parsed(number).zip(parsed(divisor)).is_some_and(|(number, divisor)| number / divisor <= FASTEST)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
