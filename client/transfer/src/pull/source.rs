//! Where a blob's bytes come from, one request at a time: a server, or memory that holds the whole blob.

use crate::coding;
use crate::http::TransferError;
use crate::layer::Source;
use bytes::Bytes;
use plyos_ids::BlobDigest;
use plyos_plan::fetch::{ContentRange, Head};
use reqwest::Response;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE, RETRY_AFTER};

/// A blob at its source.
pub(super) struct Place {
    source: Source,
    blob: BlobDigest,
}

/// An answer whose body is still to come.
pub(super) enum Answer {
    /// From a server.
    Http(Response),
    /// From memory: the head that a server would send, and the body.
    Held(Head, Bytes),
}

impl Place {
    pub(super) const fn new(source: Source, blob: BlobDigest) -> Self {
        Self { source, blob }
    }

    /// What is being done, for messages.
    pub(super) fn what(&self) -> String {
        let short: String = self.blob.to_hex().chars().take(12).collect();
        format!("fetching blob {short} from {}", self.source.shown())
    }

    /// Sends one request for a range, once.
    pub(super) async fn ask(&self, offset: u64, length: u64) -> Result<Answer, TransferError> {
        let last = offset.saturating_add(length.saturating_sub(1));
        let (http, url) = match &self.source {
            Source::Held(whole) => return Ok(held(whole, offset, last)),
            Source::Registry(registry) => (registry.http(), registry.blob_url(&self.blob)),
            Source::Catalog(catalog) => (catalog.http(), catalog.blob_url(&self.blob)),
            Source::Nowhere => return Err(TransferError::NotFound { what: self.what() }),
        };
        let request = http
            .request(reqwest::Method::GET, &url)
            .header(RANGE, format!("bytes={offset}-{last}"))
            .header(ACCEPT_ENCODING, "identity");
        http.once(&self.what(), request).await.map(Answer::Http)
    }
}

fn held(whole: &Bytes, offset: u64, last: u64) -> Answer {
    let total = whole.len() as u64;
    let end = last.saturating_add(1).min(total);
    let start = offset.min(end);
    let range = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let body = whole.slice(range(start)..range(end));
    let stated = ContentRange { first: start, last: end.saturating_sub(1), total: Some(total) };
    Answer::Held(Head { status: 206, range: Some(stated), ..Head::default() }, body)
}

impl Answer {
    /// What the engine has to know of it.
    pub(super) fn head(&self) -> Head {
        let response = match self {
            Self::Held(head, _) => return *head,
            Self::Http(response) => response,
        };
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        // A date is not taken: the clock may be wrong.
        let seconds = text(RETRY_AFTER).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        Head {
            status: response.status().as_u16(),
            range: text(CONTENT_RANGE).and_then(ContentRange::parse),
            length: response.content_length(),
            coded: coding::is_coded(response),
            retry_after: seconds.and_then(|text| text.parse().ok()),
        }
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, reqwest::Error> {
        match self {
            Self::Http(response) => response.chunk().await,
            Self::Held(_, body) if body.is_empty() => Ok(None),
            Self::Held(_, body) => Ok(Some(std::mem::take(body))),
        }
    }
}
