//! Where a blob's bytes come from, one request at a time: a server, or memory or a file that holds the whole blob.

use crate::coding;
use crate::http::TransferError;
use crate::layer::Source;
use crate::limit::Limit;
use crate::pace::Pace;
use crate::spool::{Room, Spool};
use bytes::Bytes;
use plyos_ids::BlobDigest;
use plyos_plan::fetch::{ContentRange, Head};
use reqwest::Response;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE, RETRY_AFTER};
use std::sync::Arc;

/// Bytes that are read from a file at a time.
const PIECE: u64 = 256 << 10;

/// A blob at its source.
pub(super) struct Place {
    source: Source,
    blob: BlobDigest,
}

/// An answer whose body is still to come.
pub(super) enum Answer {
    /// From a server.
    Http(Response, Pace),
    /// From memory: the head that a server would send, and the body.
    Held(Head, Bytes),
    /// From a file: the head that a server would send, and which bytes are still to come.
    Spooled(Head, Arc<Spool>, std::ops::Range<u64>),
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

    /// The room for all of the blob, where it may be kept on the way.
    pub(super) fn room(&self) -> Option<&Arc<Room>> {
        match &self.source {
            Source::Registry(registry) => Some(registry.http().room()),
            Source::Catalog(catalog) => Some(catalog.http().room()),
            Source::Held(_) | Source::Spooled(_) | Source::Nowhere => None,
        }
    }

    /// How fast it may come.
    pub(super) fn limit(&self) -> Option<&Limit> {
        match &self.source {
            Source::Registry(registry) => registry.http().limit(),
            Source::Catalog(catalog) => catalog.http().limit(),
            Source::Held(_) | Source::Spooled(_) | Source::Nowhere => None,
        }
    }

    /// Where it is, for messages.
    pub(super) fn shown(&self) -> String {
        self.source.shown()
    }

    /// Sends one request for a range, once.
    pub(super) async fn ask(&self, offset: u64, length: u64) -> Result<Answer, TransferError> {
        let last = offset.saturating_add(length.saturating_sub(1));
        let (http, url) = match &self.source {
            Source::Held(whole) => return Ok(held(whole, offset, last)),
            Source::Spooled(spool) => {
                let end = last.saturating_add(1).min(spool.len());
                let head = part(offset.min(end), end, spool.len());
                return Ok(Answer::Spooled(head, Arc::clone(spool), offset.min(end)..end));
            }
            Source::Registry(registry) => (registry.http(), registry.blob_url(&self.blob)),
            Source::Catalog(catalog) => (catalog.http(), catalog.blob_url(&self.blob)),
            Source::Nowhere => return Err(TransferError::NotFound { what: self.what() }),
        };
        let request = http
            .request(reqwest::Method::GET, &url)
            .header(RANGE, format!("bytes={offset}-{last}"))
            .header(ACCEPT_ENCODING, "identity");
        http.once(&self.what(), request).await.map(|response| Answer::Http(response, Pace::new()))
    }
}

fn held(whole: &Bytes, offset: u64, last: u64) -> Answer {
    let total = whole.len() as u64;
    let end = last.saturating_add(1).min(total);
    let start = offset.min(end);
    let range = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let body = whole.slice(range(start)..range(end));
    Answer::Held(part(start, end, total), body)
}

/// What a server says of the bytes from `start` up to `end` (exclusive).
fn part(start: u64, end: u64, total: u64) -> Head {
    let stated = ContentRange { first: start, last: end.saturating_sub(1), total: Some(total) };
    Head { status: 206, range: Some(stated), ..Head::default() }
}

impl Answer {
    /// What the engine has to know of it.
    pub(super) fn head(&self) -> Head {
        let response = match self {
            Self::Held(head, _) | Self::Spooled(head, ..) => return *head,
            Self::Http(response, _) => response,
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
    pub(super) async fn next(&mut self, place: &Place) -> Result<Option<Bytes>, TransferError> {
        match self {
            Self::Http(response, pace) => pace.next(&place.what(), response).await,
            Self::Held(_, body) if body.is_empty() => Ok(None),
            Self::Held(_, body) => Ok(Some(std::mem::take(body))),
            Self::Spooled(_, _, left) if left.is_empty() => Ok(None),
            Self::Spooled(_, spool, left) => {
                let most = usize::try_from((left.end - left.start).min(PIECE)).unwrap_or(usize::MAX);
                let bytes = spool.read(left.start, most).map_err(|source| TransferError::File {
                    path: format!("what came from {}", spool.shown()),
                    source,
                })?;
                left.start += bytes.len() as u64;
                Ok(Some(bytes))
            }
        }
    }
}
