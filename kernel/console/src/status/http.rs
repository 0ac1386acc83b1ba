//! As much of HTTP (RFC 9112) as the status page needs: one request, one answer, then the connection is closed.

use alloc::{format, string::String, vec::Vec};

use super::{Facts, metrics, page};

/// Most bytes of a request. What has no end by then is refused.
pub const MAX_REQUEST: usize = 4096;

/// A request, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The page at a path, and whether its body is wanted.
    Read(Page, Body),
    /// A method that is not known here.
    Method,
    /// Nothing that could be read.
    Bad,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// `/`
    Status,
    /// `/metrics`
    Metrics,
    /// Anything else.
    Unknown,
}

/// Whether the content is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// GET.
    Wanted,
    /// HEAD.
    Left,
}

impl Request {
    /// Reads what came so far; `None` while the end is still to come. Header fields are passed over: nothing depends on them.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..bytes.len().min(MAX_REQUEST)).unwrap_or_default();
        let ends = head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n");
        if !ends {
            return (bytes.len() >= MAX_REQUEST).then_some(Self::Bad);
        }
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Some(Self::of_line(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    fn of_line(line: &[u8]) -> Self {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Self::Bad;
        };
        if !version.starts_with(b"HTTP/1.") || !target.starts_with(b"/") {
            return Self::Bad;
        }
        let body = match method {
            b"GET" => Body::Wanted,
            b"HEAD" => Body::Left,
            _ => return Self::Method,
        };
        // A query changes nothing.
        let page = match target.split(|byte| *byte == b'?').next().unwrap_or_default() {
            b"/" => Page::Status,
            b"/metrics" => Page::Metrics,
            _ => Page::Unknown,
        };
        Self::Read(page, body)
    }
}

/// The whole answer, after which the connection is closed. `gather` is asked for the facts if a page shows them, and not
/// otherwise: whoever is on the network may ask as often as he likes.
pub fn answer(request: Request, gather: impl FnOnce() -> Facts) -> Vec<u8> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let (status, kind, text) = match request {
        Request::Read(Page::Status, _) => ("200 OK", "text/html; charset=utf-8", page(&gather())),
        Request::Read(Page::Metrics, _) => ("200 OK", metrics::CONTENT_TYPE, metrics(&gather())),
        Request::Read(Page::Unknown, _) => {
            ("404 Not Found", TEXT, String::from("no such page: there are / and /metrics\n"))
        }
        Request::Method => ("405 Method Not Allowed", TEXT, String::from("only GET and HEAD can be asked\n")),
        Request::Bad => ("400 Bad Request", TEXT, String::from("this is no request of HTTP/1\n")),
    };
    let allow = if request == Request::Method { "allow: GET, HEAD\r\n" } else { "" };
    let mut out = format!(
        "HTTP/1.0 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-store\r\n{allow}connection: close\r\n\r\n",
        text.len()
    );
    if !matches!(request, Request::Read(_, Body::Left)) {
        out.push_str(&text);
    }
    out.into_bytes()
}
