//! The one spelling of time in TUF: `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339, UTC), as seconds since 1970.

use alloc::{format, string::String};

/// Why text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time as YYYY-MM-DDTHH:MM:SSZ, from 1970 on")]
pub struct TimeError;

/// 9999-12-31T23:59:59Z: the last second that the spelling can hold.
pub const LAST: u64 = 253_402_300_799;

const DAY: u64 = 86_400;

/// Seconds since 1970-01-01 UTC of `text`.
///
/// # Errors
/// [`TimeError`] for any other spelling, for days that do not exist, for leap seconds and for years before 1970.
pub fn parse(text: &str) -> Result<u64, TimeError> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] =
        text.as_bytes()
    else {
        return Err(TimeError);
    };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0u64, |sum, digit| match digit {
            b'0'..=b'9' => Ok(sum * 10 + u64::from(**digit - b'0')),
            _ => Err(TimeError),
        })
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return Err(TimeError);
    }
    let days = days_before(year, month) + day.checked_sub(1).ok_or(TimeError)?;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    // Days that do not exist (30 February) would come out as another day.
    if print(seconds) == text { Ok(seconds) } else { Err(TimeError) }
}

/// The spelling of `seconds` since 1970; what lies beyond [`LAST`] is printed as that.
pub fn print(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days_before(year, *month) <= days).unwrap_or(1);
    let day = days - days_before(year, month) + 1;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Days from 1970-01-01 to the first of `month` of `year`, in the Gregorian calendar. `year` is 1970 or later.
fn days_before(year: u64, month: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let before_month = match month {
        1 => 0,
        2 => 31,
        // From March on, months of 31, 30, 31, 30, 31 days repeat: the classic (153 m + 2) / 5.
        _ => 59 + (153 * (month - 3) + 2) / 5 + u64::from(is_leap),
    };
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969) + before_month
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1985-10-21T01:21:00Z", 498_705_660),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2001-09-09T01:46:40Z", 1_000_000_000),
            ("2020-01-01T00:00:00Z", 1_577_836_800),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", LAST),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
            assert_eq!(print(seconds), text);
        }
        assert_eq!(print(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "2020-01-01",
            "2020-01-01T00:00:00",
            "2020-01-01t00:00:00z",
            "2020-01-01T00:00:00.0Z",
            "2020-01-01T00:00:00+00:00",
            "2020-13-01T00:00:00Z",
            "2020-00-01T00:00:00Z",
            "2020-01-00T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2020-04-31T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:60:00Z",
            "2020-01-01T00:00:60Z",
            "1969-12-31T23:59:59Z",
            "+020-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), Err(TimeError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(seconds in 0..=LAST) {
            prop_assert_eq!(parse(&print(seconds)), Ok(seconds));
        }

        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
