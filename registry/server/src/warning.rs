//! `Warning` headers: what a client should know though its request was granted ("Warnings").
//!
//! Clients show them to people and act on none, so they say what to do in words.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

/// Most bytes of all warnings of an answer together, by the specification.
const MOST_BYTES: usize = 4096;

const WARNING: HeaderName = HeaderName::from_static("warning");

/// Adds a warning, if there is room for it. `text` must not hold what strangers wrote freely.
pub(crate) fn warn(response: &mut Response, text: &str) {
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    let value = format!("299 - \"{quoted}\"");
    let given: usize = response.headers().get_all(WARNING).iter().map(HeaderValue::len).sum();
    if given + value.len() <= MOST_BYTES
        && let Ok(value) = HeaderValue::try_from(value)
    {
        response.headers_mut().append(WARNING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn warnings_have_the_one_form_and_stay_small() {
        let mut response = Response::new(Body::empty());
        warn(&mut response, r#"a "quoted" \ word"#);
        warn(&mut response, "two\nlines");
        for _ in 0..100 {
            warn(&mut response, &"x".repeat(100));
        }
        let all: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert_eq!(all[0], r#"299 - "a \"quoted\" \\ word""#);
        assert!(all[1].to_str().unwrap().starts_with("299 - \"xxx"), "what no header can hold is left out");
        let bytes: usize = all.iter().map(|value| value.len()).sum();
        assert!((4000..=4096).contains(&bytes), "{bytes}");
    }
}
