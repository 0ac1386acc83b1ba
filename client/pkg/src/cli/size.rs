//! Sizes and rates as people write them.

use std::num::NonZeroU64;

/// `512M`, `8G`, `4096` in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B').to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("'{text}' is no size; write 512M or 8G")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("'{text}' is no size; write 512M or 8G"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("'{text}' is too large"))
}

/// Bytes a second: a size of at least 1 KiB, for less would take longer than servers wait.
pub fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let bytes = parse_size(text.strip_suffix("/s").unwrap_or(text))?;
    NonZeroU64::new(bytes)
        .filter(|rate| rate.get() >= 1 << 10)
        .ok_or_else(|| format!("'{text}' is too slow; 1KiB is the least"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!(parse_rate("2MiB").map(NonZeroU64::get), Ok(2 << 20));
        assert_eq!(parse_rate("500K/s").map(NonZeroU64::get), Ok(500 << 10));
        for bad in ["0", "1023", "fast", "1 M"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("8G"), Ok(8 << 30));
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        for bad in ["", "G", "1X", "-1", "99999999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
