//! Lists a page at a time: `n` and `last` come in, a `Link` to the next page goes out.
//!
//! All lists go by the same rules ("Listing Tags"), so that one loop in a client reads each of them.

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::refusal::{Code, Refusal};
use crate::router::query;

/// What stands in a query as it is; the slashes of names stay readable.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A text as it stands in a query.
pub(crate) fn query_value(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The most entries to send; 0 asks for none.
    pub(crate) most: usize,
    /// The entry after which the page begins. It need not exist.
    pub(crate) last: Option<String>,
}

impl Page {
    /// What a request asks for, but no more than `most`.
    pub(crate) fn asked(request: &Parts, most: usize) -> Result<Self, Refusal> {
        let most = match query(request, "n") {
            None => most,
            Some(n) if !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit()) => {
                // What is too large for a number is more than the most.
                n.parse().unwrap_or(usize::MAX).min(most)
            }
            Some(_) => return Err(Refusal::bad(Code::Unsupported, "n is a number of entries")),
        };
        Ok(Self { most, last: query(request, "last") })
    }

    /// How many to read: one more than is sent, to know whether another page follows.
    pub(crate) fn lookahead(&self) -> usize {
        self.most.saturating_add(1)
    }

    /// Cuts what was read to the page; says whether more follows.
    pub(crate) fn cut<T>(&self, entries: &mut Vec<T>) -> bool {
        let more = entries.len() > self.most;
        entries.truncate(self.most);
        more
    }

    /// Adds the way to the page after `last`. `also` are the other parameters of the request.
    pub(crate) fn link(&self, response: &mut Response, path: &str, last: &str, also: &[(&str, &str)]) {
        use std::fmt::Write as _;
        let mut link = format!("<{path}?n={}&last={}", self.most, utf8_percent_encode(last, PLAIN));
        for (name, value) in also {
            // Writing to a String cannot fail.
            let _ = write!(link, "&{name}={}", utf8_percent_encode(value, PLAIN));
        }
        link.push_str(">; rel=\"next\"");
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;

    fn asked(query: &str) -> Result<Page, Refusal> {
        let request = Request::builder().uri(format!("/v2/a/tags/list{query}")).body(()).unwrap();
        Page::asked(&request.into_parts().0, 100)
    }

    #[test]
    fn a_page_is_asked_for() {
        let page = |most, last: Option<&str>| Page { most, last: last.map(str::to_owned) };
        for (query, expected) in [
            ("", page(100, None)),
            ("?n=0", page(0, None)),
            ("?n=7&last=a%2Fb", page(7, Some("a/b"))),
            ("?n=101", page(100, None)),
            ("?n=99999999999999999999999999", page(100, None)),
        ] {
            assert_eq!(asked(query).unwrap(), expected, "{query}");
        }
        for query in ["?n=", "?n=-1", "?n=%2B1", "?n=x", "?n=1.5"] {
            assert!(asked(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_page_is_cut_and_linked() {
        let page = Page { most: 2, last: None };
        assert_eq!(page.lookahead(), 3);
        let mut entries = vec![1, 2, 3];
        assert!(page.cut(&mut entries));
        assert!(!page.cut(&mut entries));
        assert_eq!(entries, [1, 2]);
        let mut response = Response::new(Body::empty());
        page.link(&mut response, "/v2/a/referrers/d", "a/b", &[("artifactType", "application/x+json")]);
        let expected = "</v2/a/referrers/d?n=2&last=a/b&artifactType=application/x%2Bjson>; rel=\"next\"";
        assert_eq!(response.headers()[header::LINK], expected);
    }
}
