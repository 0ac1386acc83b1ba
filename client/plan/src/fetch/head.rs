//! What the head of an answer promises of its body, judged before a byte of the body is read.

use super::reason::Reason;

/// The head of an answer, as far as it matters. All of it is a claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// `Content-Range`, if there is one that can be read.
    pub range: Option<ContentRange>,
    /// `Content-Length` in bytes, if it is stated.
    pub length: Option<u64>,
    /// Whether it has a `Content-Encoding` other than `identity`.
    pub coded: bool,
    /// `Retry-After` in seconds, if it is stated so.
    pub retry_after: Option<u64>,
}

/// `Content-Range: bytes FIRST-LAST/TOTAL` (RFC 9110, 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte, not before the first.
    pub last: u64,
    /// Bytes of the whole; `None` when the server says `*`.
    pub total: Option<u64>,
}

/// What a body will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Bytes from the asked offset up to `end` (exclusive).
    Part { end: u64 },
    /// The whole blob from its start.
    Whole,
    /// Nothing of use; the same may be asked again, after so many milliseconds if the server says when.
    Later { pause_ms: Option<u64> },
}

impl ContentRange {
    /// Reads the header's value; `None` when it is not of this form, or contradicts itself.
    pub fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.trim_start().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let total = if total == "*" { None } else { Some(number(total)?) };
        let fits = first <= last && last < u64::MAX && total.is_none_or(|total| last < total);
        fits.then_some(Self { first, last, total })
    }
}

/// Decimal digits and nothing else: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl Head {
    /// Judges the answer to a request for the bytes from `offset` up to `end` (exclusive) of a blob of `blob_len` bytes. `longest_pause_ms`
    /// bounds what a server may ask for.
    pub(super) fn judge(
        &self,
        blob: usize,
        blob_len: u64,
        offset: u64,
        end: u64,
        longest_pause_ms: u64,
    ) -> Result<Body, Reason> {
        match self.status {
            200 | 206 if self.coded => Err(Reason::Coded { blob }),
            206 => {
                let stated = self.range.filter(|range| range.first == offset);
                // A server may give less than was asked for, never more or from elsewhere.
                let range = stated.filter(|range| range.last < end);
                let range = range.ok_or(Reason::OtherRange { blob, stated: self.range })?;
                if range.total.is_some_and(|total| total != blob_len) {
                    return Err(Reason::OtherLength { blob, stated: range.total });
                }
                Ok(Body::Part { end: range.last.saturating_add(1) })
            }
            200 if self.length.is_some_and(|length| length != blob_len) => {
                Err(Reason::OtherLength { blob, stated: self.length })
            }
            200 => Ok(Body::Whole),
            404 | 410 => Err(Reason::NotFound { blob }),
            416 => Err(Reason::OtherLength { blob, stated: None }),
            408 | 425 | 429 | 500 | 502 | 503 | 504 => {
                let pause_ms = self.retry_after.map(|seconds| seconds.saturating_mul(1000));
                match (pause_ms, self.retry_after) {
                    (Some(pause), Some(seconds)) if pause > longest_pause_ms => {
                        Err(Reason::Patience { blob, seconds })
                    }
                    _ => Ok(Body::Later { pause_ms }),
                }
            }
            status => Err(Reason::Status { blob, status }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn range(first: u64, last: u64, total: Option<u64>) -> Option<ContentRange> {
        Some(ContentRange { first, last, total })
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(ContentRange::parse("bytes 0-9/10"), range(0, 9, Some(10)));
        assert_eq!(ContentRange::parse(" bytes 5-5/*"), range(5, 5, None));
        for bad in [
            "",
            "bytes",
            "bytes 0-9",
            "bytes 9-0/10",
            "bytes 0-9/9",
            "bytes */10",
            "bytes 0-/10",
            "bytes -1-2/10",
            "bytes +0-9/10",
            "items 0-9/10",
            "bytes 0-9/10,11-12/13",
            "bytes 0-18446744073709551615/*",
            "bytes 0-18446744073709551616/*",
        ] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn answers_are_judged_by_their_heads() {
        let judge = |head: Head| head.judge(3, 1000, 100, 200, 60_000);
        let part =
            |first, last, total| Head { status: 206, range: range(first, last, total), ..Head::default() };
        let status = |status| Head { status, ..Head::default() };
        let later = |pause_ms| Ok(Body::Later { pause_ms });
        for (what, head, expected) in [
            ("what was asked for", part(100, 199, Some(1000)), Ok(Body::Part { end: 200 })),
            ("less", part(100, 150, None), Ok(Body::Part { end: 151 })),
            (
                "more",
                part(100, 200, Some(1000)),
                Err(Reason::OtherRange { blob: 3, stated: range(100, 200, Some(1000)) }),
            ),
            (
                "elsewhere",
                part(99, 199, None),
                Err(Reason::OtherRange { blob: 3, stated: range(99, 199, None) }),
            ),
            ("no place", status(206), Err(Reason::OtherRange { blob: 3, stated: None })),
            (
                "another blob",
                part(100, 199, Some(999)),
                Err(Reason::OtherLength { blob: 3, stated: Some(999) }),
            ),
            ("all", Head { length: Some(1000), ..status(200) }, Ok(Body::Whole)),
            ("all, of no stated length", status(200), Ok(Body::Whole)),
            (
                "all of another blob",
                Head { length: Some(1001), ..status(200) },
                Err(Reason::OtherLength { blob: 3, stated: Some(1001) }),
            ),
            ("compressed", Head { coded: true, ..status(200) }, Err(Reason::Coded { blob: 3 })),
            ("not there", status(404), Err(Reason::NotFound { blob: 3 })),
            ("too short there", status(416), Err(Reason::OtherLength { blob: 3, stated: None })),
            ("forbidden", status(403), Err(Reason::Status { blob: 3, status: 403 })),
            ("a redirect that was not followed", status(302), Err(Reason::Status { blob: 3, status: 302 })),
            ("broken", status(500), later(None)),
            ("busy", Head { retry_after: Some(7), ..status(503) }, later(Some(7000))),
            (
                "busy for long",
                Head { retry_after: Some(61), ..status(429) },
                Err(Reason::Patience { blob: 3, seconds: 61 }),
            ),
        ] {
            assert_eq!(judge(head), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(first in 0..1000u64, more in 0..1000u64, rest in 1..1000u64) {
            let (last, total) = (first + more, first + more + rest);
            let text = format!("bytes {first}-{last}/{total}");
            prop_assert_eq!(ContentRange::parse(&text), range(first, last, Some(total)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(bytes )?[0-9+* /-]{0,30}|\\PC{0,30}") {
            if let Some(range) = ContentRange::parse(&text) {
                prop_assert!(range.first <= range.last && range.total.is_none_or(|total| range.last < total));
            }
        }
    }
}
