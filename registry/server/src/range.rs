//! The `Range` header of RFC 9110, section 14.
//!
//! Pure: text and a size in, byte ranges out. What is not understood is ignored, as the standard asks, and the
//! whole is sent; so it is for empty content, of which no range could be named. A range that ends before it starts
//! is like one outside the content.

use std::ops::Range;

/// Which bytes to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them.
    Whole,
    /// One or more ranges, none empty, each within the size, in the order asked for.
    Parts(Vec<Range<u64>>),
    /// None of the ranges lies within the size.
    Unsatisfiable,
}

/// Reads a `Range` header for content of `size` bytes, in which at most `most` ranges are taken.
pub(crate) fn parse(header: &str, size: u64, most: usize) -> Wanted {
    let Some((unit, list)) = header.split_once('=') else { return Wanted::Whole };
    if size == 0 || !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let mut parts = Vec::new();
    let (mut total, mut understood) = (0u64, false);
    for (count, spec) in list.split(',').map(|spec| spec.trim_matches([' ', '\t'])).enumerate() {
        if count >= most {
            return Wanted::Whole;
        }
        // Lists may have empty places (RFC 9110, section 5.6.1).
        if spec.is_empty() {
            continue;
        }
        let Some(range) = one(spec, size) else { return Wanted::Whole };
        understood = true;
        if let Some(range) = range {
            total = total.saturating_add(range.end - range.start);
            parts.push(range);
        }
    }
    match parts.is_empty() {
        true if understood => Wanted::Unsatisfiable,
        true => Wanted::Whole,
        // Overlapping ranges would have the server send more than there is.
        false if parts.len() > 1 && total > size => Wanted::Whole,
        false => Wanted::Parts(parts),
    }
}

/// One range: `None` if malformed, `Some(None)` if outside the content.
fn one(spec: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?.min(size);
        return Some((suffix > 0).then(|| size - suffix..size));
    }
    let first = number(first)?;
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1).min(size) };
    Some((first < end).then_some(first..end))
}

/// Digits alone; a number too large to hold lies beyond any content.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(range: Range<u64>) -> Wanted {
        Wanted::Parts(Vec::from([range]))
    }

    #[test]
    fn single_ranges() {
        for (header, size, wanted) in [
            ("bytes=0-0", 10, part(0..1)),
            ("bytes=2-5", 10, part(2..6)),
            ("bytes=2-", 10, part(2..10)),
            ("bytes=2-99", 10, part(2..10)),
            ("bytes=-3", 10, part(7..10)),
            ("bytes=-99", 10, part(0..10)),
            ("Bytes = 0-1", 10, part(0..2)),
            ("bytes=0-99999999999999999999999", 10, part(0..10)),
            ("bytes=0-18446744073709551615", u64::MAX, part(0..u64::MAX)),
            ("bytes=10-", 10, Wanted::Unsatisfiable),
            ("bytes=10-12", 10, Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Wanted::Unsatisfiable),
            ("bytes=-0", 10, Wanted::Unsatisfiable),
            ("bytes=5-2", 10, Wanted::Unsatisfiable),
            ("bytes=18446744073709551615-", u64::MAX, Wanted::Unsatisfiable),
            ("bytes=0-", 0, Wanted::Whole),
            ("bytes=-1", 0, Wanted::Whole),
        ] {
            assert_eq!(parse(header, size, 8), wanted, "{header}");
        }
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=,, ,",
            "bytes=+1-2",
            "bytes=0x0-1",
            "items=0-1",
            "bytes=0-1;2-3",
            "bytes=0-1,x",
            "bytes=--1",
            "bytes=1-2-3",
        ] {
            assert_eq!(parse(header, 10, 8), Wanted::Whole, "{header}");
        }
    }

    #[test]
    fn several_ranges() {
        assert_eq!(parse("bytes=0-1, 4-5,-1", 10, 8), Wanted::Parts(vec![0..2, 4..6, 9..10]));
        assert_eq!(parse("bytes=0-1,50-60", 10, 8), part(0..2), "what lies outside is left out");
        assert_eq!(parse("bytes=9-9,5-2", 10, 8), part(9..10), "what ends before it starts is left out");
        assert_eq!(parse("bytes=, 0-1,, ", 10, 8), part(0..2), "empty places are left out");
        assert_eq!(parse("bytes=50-60,70-", 10, 8), Wanted::Unsatisfiable);
        assert_eq!(parse("bytes=0-1,2-3,4-5", 10, 2), Wanted::Whole, "more than are taken");
        assert_eq!(parse(&format!("bytes=0-1{}", ",".repeat(9)), 10, 8), Wanted::Whole, "empty ones count");
        assert_eq!(parse("bytes=0-,0-,0-", 10, 8), Wanted::Whole, "more than there is");
    }
}
