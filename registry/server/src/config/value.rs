//! How a setting is written: one text form for file, environment and flags.
//!
//! [`Field`] is a place in the configuration together with its kind. A size is a number of bytes with or without a unit
//! (`64KiB`), a time has one (`30s`), and what may be absent is absent when empty.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A setting's place.
pub(super) enum Field<'a> {
    Text(&'a mut String),
    OptionalText(&'a mut Option<String>),
    Path(&'a mut Option<PathBuf>),
    Address(&'a mut SocketAddr),
    OptionalAddress(&'a mut Option<SocketAddr>),
    Switch(&'a mut bool),
    Count(&'a mut usize),
    Rate(&'a mut u32),
    Bytes(&'a mut u64),
    Memory(&'a mut usize),
    Time(&'a mut Duration),
}

const SIZES: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const TIMES: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

impl Field<'_> {
    /// Takes a value as it is written. The error says what is expected.
    pub(super) fn set(&mut self, text: &str) -> Result<(), &'static str> {
        match self {
            Self::Text(place) => text.clone_into(place),
            Self::OptionalText(place) => **place = optional(text).map(str::to_owned),
            Self::Path(place) => **place = optional(text).map(PathBuf::from),
            Self::Address(place) => **place = address(text)?,
            Self::OptionalAddress(place) => **place = optional(text).map(address).transpose()?,
            Self::Switch(place) => **place = text.parse().map_err(|_| "write true or false")?,
            Self::Count(place) => **place = number(text)?,
            Self::Rate(place) => **place = number(text)?,
            Self::Bytes(place) => **place = bytes(text)?,
            Self::Memory(place) => {
                **place = bytes(text)?.try_into().map_err(|_| "this is more than memory")?;
            }
            Self::Time(place) => **place = time(text)?,
        }
        Ok(())
    }

    /// The value as TOML.
    pub(super) fn show(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        match self {
            Self::Text(place) => quoted(place),
            Self::OptionalText(place) => quoted(place.as_deref().unwrap_or_default()),
            Self::Path(place) => {
                quoted(&place.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
            }
            Self::Address(place) => quoted(&place.to_string()),
            Self::OptionalAddress(place) => {
                quoted(&place.map(|address| address.to_string()).unwrap_or_default())
            }
            Self::Switch(place) => place.to_string(),
            Self::Count(place) => place.to_string(),
            Self::Rate(place) => place.to_string(),
            Self::Bytes(place) => quoted(&with_unit(**place, &SIZES, "B")),
            Self::Memory(place) => quoted(&with_unit(**place as u64, &SIZES, "B")),
            Self::Time(place) => {
                let whole = u64::try_from(place.as_millis()).unwrap_or(u64::MAX);
                quoted(&with_unit(whole, &TIMES[1..], "ms"))
            }
        }
    }
}

fn optional(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an address with its port, as in 127.0.0.1:5000 or [::]:5000")
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "write a whole number")
}

fn bytes(text: &str) -> Result<u64, &'static str> {
    let expected = "write a number of bytes, with B, KiB, MiB, GiB or TiB if you like";
    scaled(
        text.strip_suffix('B').filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit())).unwrap_or(text),
        &SIZES,
        Some(1),
    )
    .ok_or(expected)
}

fn time(text: &str) -> Result<Duration, &'static str> {
    scaled(text, &TIMES, None)
        .map(Duration::from_millis)
        .ok_or("write a time with its unit: ms, s, m or h, as in 30s")
}

fn scaled(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let unit = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)));
    let (number, scale) = unit.or_else(|| Some((text, bare?)))?;
    // No sign, which `parse` would take.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// In the largest unit that leaves a whole number.
fn with_unit(value: u64, units: &[(&str, u64)], smallest: &str) -> String {
    let fitting = units
        .iter()
        .filter(|(_, scale)| value >= *scale && value.is_multiple_of(*scale))
        .max_by_key(|(_, scale)| *scale);
    match fitting {
        Some((unit, scale)) => format!("{}{unit}", value / scale),
        None => format!("{value}{smallest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_written_with_units() {
        for (text, value) in
            [("0", 0), ("17", 17), ("17B", 17), ("64KiB", 65536), ("4MiB", 4 << 20), ("1TiB", 1 << 40)]
        {
            assert_eq!(bytes(text), Ok(value), "{text}");
        }
        for text in ["", "B", "KiB", "-1", "+1", "1.5MiB", "1 MiB", "4MB", "99999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for (text, value) in [("5ms", 5), ("30s", 30_000), ("2m", 120_000), ("24h", 86_400_000)] {
            assert_eq!(time(text), Ok(Duration::from_millis(value)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1d"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for value in [0, 1, 1023, 1024, 1 << 20, (1 << 30) + 1, u64::MAX] {
            let mut shown = value;
            let text = Field::Bytes(&mut shown).show();
            let mut read = 1;
            Field::Bytes(&mut read).set(text.trim_matches('"')).unwrap();
            assert_eq!(read, value, "{text}");
        }
        for value in [0, 1, 999, 1000, 61_000, 3_600_000] {
            let mut shown = Duration::from_millis(value);
            let text = Field::Time(&mut shown).show();
            let mut read = Duration::ZERO;
            Field::Time(&mut read).set(text.trim_matches('"')).unwrap();
            assert_eq!(read.as_millis() as u64, value, "{text}");
        }
    }
}
