//! Kinds of values: what is allowed, how it is parsed from a file or from text, how it is written.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text that is not empty.
    Text,
    /// A name: letters, digits, `-` and `_`, at most 64.
    Name,
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
    /// A number of bytes such as `64MB`, `20GB`; the units are powers of 1000.
    Bytes {
        /// Least allowed.
        min: u64,
        /// Most allowed.
        max: u64,
    },
    /// An address and port to listen on, such as `127.0.0.1:8080`; port 0 lets the system choose.
    Listen,
    /// `true` or `false`.
    Switch,
    /// `auto`, `cpu` or `cuda:N`.
    Device,
    /// `none`, or addresses of pages such as `https://console.example`, with blanks between them.
    Origins,
    /// `none`, or networks such as `10.0.0.0/8`, with blanks between them.
    Networks,
}

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of [`Kind::Text`], [`Kind::Name`], [`Kind::Choice`], [`Kind::Device`], [`Kind::Origins`] and [`Kind::Networks`].
    Text(String),
    /// Of [`Kind::Integer`].
    Integer(i64),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Bytes`].
    Bytes(u64),
    /// Of [`Kind::Listen`].
    Listen(SocketAddr),
    /// Of [`Kind::Switch`].
    Switch(bool),
}

impl Kind {
    /// Takes a value from a TOML file, where text is quoted and numbers are not.
    pub(crate) fn take(self, value: &toml::Value) -> Result<Value, String> {
        match (self, value) {
            (Kind::Integer { .. }, toml::Value::Integer(number)) => self.integer(*number),
            (Kind::Switch, toml::Value::Boolean(on)) => Ok(Value::Switch(*on)),
            (Kind::Integer { .. } | Kind::Switch, other) => Err(self.refusal(&other.to_string())),
            (_, toml::Value::String(text)) => self.parse(text),
            // Text may be a secret.
            (Kind::Text, other) => Err(self.refusal(&format!("a value of type {}", other.type_str()))),
            (_, other) => Err(self.refusal(&other.to_string())),
        }
    }

    /// Parses a value from plain text, as the environment and `--set` give it.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        let refuse = || self.refusal(&format!("{text:?}"));
        match self {
            Kind::Text if text.is_empty() => Err(refuse()),
            Kind::Name if !is_name(text) => Err(refuse()),
            Kind::Name => Ok(Value::Text(text.into())),
            Kind::Text => Ok(Value::Text(text.into())),
            Kind::Choice(words) if words.contains(&text) => Ok(Value::Text(text.into())),
            Kind::Choice(_) => Err(refuse()),
            Kind::Integer { .. } => self.integer(text.parse().map_err(|_| refuse())?),
            Kind::Duration { min_ms, max_ms } => {
                let duration = parse_duration(text).ok_or_else(refuse)?;
                let allowed = Duration::from_millis(min_ms)..=Duration::from_millis(max_ms);
                if allowed.contains(&duration) { Ok(Value::Duration(duration)) } else { Err(refuse()) }
            }
            Kind::Bytes { min, max } => {
                let bytes = parse_bytes(text).filter(|bytes| (min..=max).contains(bytes));
                bytes.map(Value::Bytes).ok_or_else(refuse)
            }
            Kind::Listen => text.parse().map(Value::Listen).map_err(|_| refuse()),
            Kind::Switch => text.parse().map(Value::Switch).map_err(|_| refuse()),
            Kind::Device if text.parse::<kinora_models::DeviceChoice>().is_ok() => {
                Ok(Value::Text(text.into()))
            }
            Kind::Origins if words(text).all(is_origin) => Ok(Value::Text(text.into())),
            Kind::Networks if words(text).all(|word| Network::parse(word).is_some()) => {
                Ok(Value::Text(text.into()))
            }
            Kind::Device | Kind::Origins | Kind::Networks => Err(refuse()),
        }
    }

    /// What is allowed, as the end of "must be ...".
    pub(crate) fn allowed(self) -> String {
        match self {
            Kind::Text => "text that is not empty".into(),
            Kind::Name => "1 to 64 letters, digits, - and _".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Duration { min_ms, max_ms } => {
                let write = |ms| write_duration(Duration::from_millis(ms));
                format!("a duration from {} to {}, such as 500ms, 10s or 2m", write(min_ms), write(max_ms))
            }
            Kind::Bytes { min, max } => {
                format!("a size from {} to {}, such as 64MB or 20GB", write_bytes(min), write_bytes(max))
            }
            Kind::Listen => "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080".into(),
            Kind::Switch => "true or false".into(),
            Kind::Device => "auto, cpu or cuda:N, such as cuda:0".into(),
            Kind::Origins => "none, or addresses such as https://console.example with blanks between".into(),
            Kind::Networks => "none, or networks such as 10.0.0.0/8 with blanks between".into(),
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
            Value::Bytes(bytes) => write!(f, "\"{}\"", write_bytes(*bytes)),
            Value::Listen(address) => write!(f, "\"{address}\""),
            Value::Switch(on) => write!(f, "{on}"),
        }
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// The words of a list; `none` is an empty one.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| *word != "none")
}

/// Scheme, host and port, nothing behind them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']))
}

/// A network: all addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `10.0.0.0/8`; a bare address is a network of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, bits)| (a, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(longest), |bits| bits.parse().ok()).filter(|bits| *bits <= longest)?;
        Some(Self { address, bits })
    }

    /// Whether `address` is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)).leading_zeros() >= self.bits
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// Units of durations, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of sizes, in bytes.
const SIZES: [(&str, u64); 4] = [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];

fn parse_duration(text: &str) -> Option<Duration> {
    parse_with_unit(text, &UNITS).map(Duration::from_millis)
}

fn write_duration(duration: Duration) -> String {
    write_with_unit(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &UNITS)
}

fn parse_bytes(text: &str) -> Option<u64> {
    parse_with_unit(text, &SIZES)
}

fn write_bytes(bytes: u64) -> String {
    write_with_unit(bytes, &SIZES)
}

/// A whole number and one of `units` behind it, without a space.
fn parse_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

/// Writes in the largest unit that divides the amount.
fn write_with_unit(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, size): &&(&str, u64)| amount > 0 && amount.is_multiple_of(*size);
    let (unit, size) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    format!("{}{unit}", amount / size)
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
    fn sizes_are_parsed_and_written_in_the_largest_whole_unit() {
        for (text, bytes) in
            [("1B", 1), ("1500kB", 1_500_000), ("64MB", 64_000_000), ("20GB", 20_000_000_000)]
        {
            assert_eq!(parse_bytes(text), Some(bytes));
            assert_eq!(write_bytes(bytes), text);
        }
        assert_eq!(parse_bytes("20gb"), None);
    }

    #[test]
    fn networks_contain_what_begins_with_their_bits() {
        let within = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(within("10.0.0.0/8", "10.200.1.1") && !within("10.0.0.0/8", "11.0.0.1"));
        assert!(within("::1", "::1") && !within("::1", "::2"));
        assert!(within("127.0.0.1", "::ffff:127.0.0.1"), "an address may come in the form of version 6");
        assert!(within("0.0.0.0/0", "203.0.113.9"));
        for text in ["10.0.0.0/33", "host", "10.0.0.0/x", ""] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert!(Kind::Origins.parse("https://a.example http://localhost:3000").is_ok());
        assert!(Kind::Origins.parse("https://a.example/path").is_err() && Kind::Origins.parse("*").is_err());
    }

    #[test]
    fn a_number_in_quotes_is_refused_in_a_file_and_fine_in_the_environment() {
        let kind = Kind::Integer { min: 1, max: 9 };
        assert!(kind.take(&toml::Value::String("3".into())).is_err());
        assert_eq!(kind.parse("3"), Ok(Value::Integer(3)));
        assert_eq!(kind.parse("10").unwrap_err(), "10 is not allowed; it must be a whole number from 1 to 9");
    }
}
