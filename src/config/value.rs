//! Kinds of values: what is allowed, how it is parsed from a file or from text, how it is written.

use std::time::Duration;

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text that is not empty.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number.
    Integer {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// A duration such as `500ms`, `10s`, `2m`.
    Duration {
        /// Shortest allowed, in milliseconds.
        min_ms: u64,
        /// Longest allowed, in milliseconds.
        max_ms: u64,
    },
}

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of [`Kind::Text`] and [`Kind::Choice`].
    Text(String),
    /// Of [`Kind::Integer`].
    Integer(i64),
    /// Of [`Kind::Duration`].
    Duration(Duration),
}

impl Kind {
    /// Takes a value from a TOML file, where text is quoted and numbers are not.
    pub(crate) fn take(self, value: &toml::Value) -> Result<Value, String> {
        match (self, value) {
            (Kind::Integer { .. }, toml::Value::Integer(number)) => self.integer(*number),
            (Kind::Integer { .. }, other) => Err(self.refusal(&other.to_string())),
            (_, toml::Value::String(text)) => self.parse(text),
            (_, other) => Err(self.refusal(&other.to_string())),
        }
    }

    /// Parses a value from plain text, as the environment and `--set` give it.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        let refuse = || self.refusal(&format!("{text:?}"));
        match self {
            Kind::Text if text.is_empty() => Err(refuse()),
            Kind::Text => Ok(Value::Text(text.into())),
            Kind::Choice(words) if words.contains(&text) => Ok(Value::Text(text.into())),
            Kind::Choice(_) => Err(refuse()),
            Kind::Integer { .. } => self.integer(text.parse().map_err(|_| refuse())?),
            Kind::Duration { min_ms, max_ms } => {
                let duration = parse_duration(text).ok_or_else(refuse)?;
                let allowed = Duration::from_millis(min_ms)..=Duration::from_millis(max_ms);
                if allowed.contains(&duration) { Ok(Value::Duration(duration)) } else { Err(refuse()) }
            }
        }
    }

    /// What is allowed, as the end of "must be ...".
    pub(crate) fn allowed(self) -> String {
        match self {
            Kind::Text => "text that is not empty".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Duration { min_ms, max_ms } => {
                let write = |ms| write_duration(Duration::from_millis(ms));
                format!("a duration from {} to {}, such as 500ms, 10s or 2m", write(min_ms), write(max_ms))
            }
        }
    }

    fn integer(self, number: i64) -> Result<Value, String> {
        match self {
            Kind::Integer { min, max } if (min..=max).contains(&number) => Ok(Value::Integer(number)),
            _ => Err(self.refusal(&number.to_string())),
        }
    }

    fn refusal(self, found: &str) -> String {
        format!("{found} is not allowed; it must be {}", self.allowed())
    }
}

impl std::fmt::Display for Value {
    /// Writes the value as in a TOML file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{}", toml::Value::String(text.clone())),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Duration(duration) => write!(f, "\"{}\"", write_duration(*duration)),
        }
    }
}

/// Units of durations, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*ms).map(Duration::from_millis)
}

fn write_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, size) =
        UNITS.iter().rev().find(|(_, size)| ms > 0 && ms.is_multiple_of(*size)).unwrap_or(&UNITS[0]);
    format!("{}{unit}", ms / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_and_written_in_the_largest_whole_unit() {
        for (text, ms) in
            [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)));
            assert_eq!(write_duration(Duration::from_millis(ms)), text);
        }
        for text in ["", "10", "s", "1.5s", "10 s", "-1s", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_in_quotes_is_refused_in_a_file_and_fine_in_the_environment() {
        let kind = Kind::Integer { min: 1, max: 9 };
        assert!(kind.take(&toml::Value::String("3".into())).is_err());
        assert_eq!(kind.parse("3"), Ok(Value::Integer(3)));
        assert_eq!(kind.parse("10").unwrap_err(), "10 is not allowed; it must be a whole number from 1 to 9");
    }
}
