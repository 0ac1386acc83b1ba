//! Text, sizes and times as people read them.
//!
//! Names, versions and annotations come from whoever pushed them. [`text`] takes out what could change how the rest
//! of a line reads (control characters, direction marks, invisible ones) and bounds the length; that `<` and `&` mean nothing is the
//! template's work.

use std::time::{SystemTime, UNIX_EPOCH};

/// Most characters of a text that is not ours.
const LONGEST: usize = 120;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// A text from outside, safe to be read among others.
pub(super) fn text(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !is_deceptive(*c)).take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

/// Characters that are not seen themselves but change how others are.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A size in bytes: three digits and a unit of 1,024s.
pub(super) fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (count as f64 / 1024.0, "KiB");
    for next in units.into_iter().skip(1) {
        // What would be shown as 1024 is one of the next.
        if value < 1023.5 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    match value {
        v if v < 9.995 => format!("{v:.2} {unit}"),
        v if v < 99.95 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

/// `part` of `whole` in percent; what is there is never shown as nothing, nor what is not all as all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".to_owned(),
        (part, whole) if part >= whole => "100 %".to_owned(),
        (part, whole) => match (part as f64 / whole as f64 * 100.0).round() as u64 {
            0 => "< 1 %".to_owned(),
            100 => "> 99 %".to_owned(),
            rounded => format!("{rounded} %"),
        },
    }
}

/// A count with its noun.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// The first digits of a digest, enough to tell it from its neighbours.
pub(super) fn short(digest: &str) -> String {
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("", digest));
    let digits: String = hex.chars().take(12).collect();
    if algorithm == "sha256" || algorithm.is_empty() { digits } else { format!("{algorithm}:{digits}") }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `2026-11-21T08:00:00Z`, the one form that TUF allows, as seconds since 1970.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator| {
        let parts: Option<Vec<i64>> = text.split(separator).map(|part| part.parse().ok()).collect();
        <[i64; 3]>::try_from(parts?).ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    sane.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 of the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A distance in time, in the largest unit of which there are two.
pub(super) fn distance(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    for (length, name) in
        [(365 * 86_400, "years"), (30 * 86_400, "months"), (86_400, "days"), (3600, "hours"), (60, "minutes")]
    {
        if seconds >= 2 * length {
            return format!("{} {name}", seconds / length);
        }
    }
    format!("{seconds} seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_characters_are_taken_out() {
        assert_eq!(text("a\u{202e}txt.exe\u{0}\n\u{200b}b"), "atxt.exeb");
        assert_eq!(text("<script>alert(1)</script> é 漢"), "<script>alert(1)</script> é 漢");
        assert_eq!(text(&"x".repeat(200)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn sizes_have_three_digits() {
        for (count, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10 * 1024, "10.0 KiB"),
            (999 * 1024, "999 KiB"),
            (1023 * 1024 + 900, "1.00 MiB"),
            (5 << 30, "5.00 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), shown, "{count}");
        }
    }

    #[test]
    fn percentages_do_not_lie_at_the_ends() {
        for (part, whole, shown) in [
            (0, 5, "0 %"),
            (1, 1000, "< 1 %"),
            (999, 1000, "> 99 %"),
            (5, 5, "100 %"),
            (1, 0, "0 %"),
            (1, 3, "33 %"),
        ] {
            assert_eq!(percent(part, whole), shown);
        }
    }

    #[test]
    fn times_are_read_in_one_form_only() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("2000-02-29T23:59:59Z"), Some(951_868_799));
        assert_eq!(parse_time("2026-11-21T08:00:00Z"), Some(1_795_248_000));
        for bad in [
            "",
            "2026-11-21",
            "2026-13-01T00:00:00Z",
            "2026-11-21T08:00:00+01:00",
            "99999-01-01T00:00:00Z",
            "2026-11-21T8:0Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(distance(-3 * DAY), "3 days");
        assert_eq!(distance(100), "100 seconds");
    }
}
