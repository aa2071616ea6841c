//! How the test dancer is asked for: its size, rate, length and cast, in an address or on the command line.

use crate::dancer::Settings;

/// Frames when nobody says: ten seconds at 60 frames a second.
const DEFAULT_FRAMES: u64 = 600;

/// A dancer and how long it dances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DancerOptions {
    /// The picture.
    pub(crate) settings: Settings,
    /// The length.
    pub(crate) frames: u64,
}

impl Default for DancerOptions {
    fn default() -> Self {
        Self { settings: Settings::default(), frames: DEFAULT_FRAMES }
    }
}

impl DancerOptions {
    /// Parses what follows `dancer:`, empty or `?name=value&...`.
    ///
    /// # Errors
    /// Names the member that is wrong and what is allowed.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let query = query.trim_start_matches('?');
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(name, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "size" => (self.settings.width, self.settings.height) = parse_size(value)?,
            "fps" => self.settings.fps = (parse_number("fps", value, 1, 240)?, 1),
            "frames" => self.frames = u64::from(parse_number("frames", value, 1, u32::MAX)?),
            "seed" => self.settings.seed = parse_number("seed", value, 0, u32::MAX)?,
            _ => {
                return Err(format!(
                    "dancer: there is no option {name:?}; allowed are size, fps, frames, seed"
                ));
            }
        }
        Ok(())
    }
}

/// Parses `WIDTHxHEIGHT`: even numbers, 64 to 4096.
///
/// # Errors
/// Says what is allowed.
pub(crate) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let allowed = 64..=4096;
    let side = |text: &str| {
        text.parse::<usize>().ok().filter(|side| allowed.contains(side) && side.is_multiple_of(2))
    };
    text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?))).ok_or_else(|| {
        format!(
            "{text:?} is not a size; it must be WIDTHxHEIGHT, even numbers from 64 to 4096, such as 1920x1080"
        )
    })
}

fn parse_number(name: &str, text: &str, min: u32, max: u32) -> Result<u32, String> {
    text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| {
        format!("dancer: {name}={text} is not allowed; it must be a whole number from {min} to {max}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_the_query() {
        let options = DancerOptions::parse("?size=640x360&fps=30&frames=7&seed=2").unwrap();
        assert_eq!((options.settings.width, options.settings.height), (640, 360));
        assert_eq!((options.settings.fps, options.frames, options.settings.seed), ((30, 1), 7, 2));
        assert_eq!(DancerOptions::parse("").unwrap(), DancerOptions::default());
    }

    #[test]
    fn wrong_options_are_named() {
        for (query, word) in
            [("?size=12x12", "64"), ("?size=641x360", "even"), ("?fps=0", "fps"), ("?colour=red", "colour")]
        {
            let error = DancerOptions::parse(query).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
