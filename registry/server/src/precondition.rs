//! `If-Match` and `If-None-Match` of a request that changes a tag (RFC 9110, section 13.1).
//!
//! Pure. A tag's ETag is the digest that it names, in quotes, so two who move the same tag find out.

use axum::http::{HeaderMap, header};
use plyos_blobs::Digest;

/// Whether a request says what must be there before it.
pub(crate) fn is_given(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH)
}

/// Whether a tag that names `current` (`None`: no such tag) is what a request wants.
pub(crate) fn holds(headers: &HeaderMap, current: Option<&Digest>) -> bool {
    let named = |name| {
        let values = headers.get_all(name).iter();
        // What is no text is no ETag of ours either.
        values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).any(|one| names(one, current))
    };
    (!headers.contains_key(header::IF_MATCH) || named(header::IF_MATCH))
        && (!headers.contains_key(header::IF_NONE_MATCH) || !named(header::IF_NONE_MATCH))
}

fn names(etag: &str, current: Option<&Digest>) -> bool {
    let etag = etag.trim();
    current.is_some_and(|current| etag == "*" || etag == format!("\"{current}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn conditions_hold_or_not() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let (is_one, is_two) = (format!("\"{one}\""), format!("\"{two}\""));
        let either = format!("{is_two}, {is_one}");
        let (matches, differs) = (header::IF_MATCH, header::IF_NONE_MATCH);
        for (name, value, current, expected) in [
            (&matches, "*", Some(&one), true),
            (&matches, "*", None, false),
            (&matches, &is_one, Some(&one), true),
            (&matches, &is_one, Some(&two), false),
            (&matches, &is_one, None, false),
            (&matches, &either, Some(&one), true),
            (&matches, "W/\"x\"", Some(&one), false),
            (&matches, "", Some(&one), false),
            (&differs, "*", Some(&one), false),
            (&differs, "*", None, true),
            (&differs, &is_one, Some(&one), false),
            (&differs, &is_one, Some(&two), true),
            (&differs, &either, Some(&one), false),
        ] {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_str(value).unwrap())]);
            assert!(is_given(&headers));
            assert_eq!(holds(&headers, current), expected, "{name}: {value} on {current:?}");
        }
        assert!(!is_given(&HeaderMap::new()));
        assert!(holds(&HeaderMap::new(), None));
    }
}
