//! Taking in a request's body: to the staging area piece by piece, or, for a manifest, to memory.
//!
//! A client may stop sending, or send more than it said. What came before is kept where someone can come back for
//! it. A body that is refused is still read for a moment: a server that closes on unread bytes resets the
//! connection, and the client never sees why.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use plyos_blobs::Upload;

use crate::range::number;
use crate::refusal::{Code, Refusal};

/// What is read of a refused body, in bytes: a manifest somewhat too large.
const DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// How long is spent on reading a refused body.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Bytes that are appended to an upload at a time, if so many are there; with one piece more, the memory of an upload.
const BATCH: u64 = 512 * 1024;

/// How much of a body is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    /// What it is, for the refusal.
    pub(crate) what: &'a str,
    /// The most bytes that the whole thing may have, with what came in earlier requests.
    pub(crate) limit: u64,
    /// How long to wait for the next piece.
    pub(crate) idle: Duration,
}

/// The body's length, if the client gave one.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| number(value.to_str().ok()?))
}

/// How far a body got into an upload.
pub(crate) struct Received {
    /// The upload with what came; gone if the storage failed.
    pub(crate) upload: Option<Upload>,
    /// Why not all of it came.
    pub(crate) end: Result<(), Refusal>,
}

impl Received {
    fn stopped(upload: Upload, why: Refusal) -> Self {
        Self { upload: Some(upload), end: Err(why) }
    }
}

/// Appends a body to an upload that nobody can come back for.
pub(crate) async fn into_upload(
    body: &mut Body,
    headers: &HeaderMap,
    upload: Upload,
    bound: Bound<'_>,
) -> Result<Upload, Refusal> {
    let received = append(body, headers, upload, bound).await;
    received.end?;
    received.upload.ok_or_else(Refusal::storage)
}

/// Appends a body to an upload.
pub(crate) async fn append(
    body: &mut Body,
    headers: &HeaderMap,
    mut upload: Upload,
    bound: Bound<'_>,
) -> Received {
    let announced = content_length(headers).unwrap_or(0);
    let too_large = || Refusal::too_large(bound.what, bound.limit);
    if upload.received().saturating_add(announced) > bound.limit {
        return Received::stopped(upload, too_large());
    }
    loop {
        let first = match next(body, bound.idle).await {
            Ok(Some(first)) => first,
            Ok(None) => return Received { upload: Some(upload), end: Ok(()) },
            Err(why) => return Received::stopped(upload, why),
        };
        let Batch { pieces, bytes, end } = gather(body, first).await;
        if upload.received().saturating_add(bytes) > bound.limit {
            return Received::stopped(upload, too_large());
        }
        upload = match upload.append(pieces).await {
            Ok(upload) => upload,
            Err(error) => return Received { upload: None, end: Err(error.into()) },
        };
        match end {
            None => {}
            Some(Ok(())) => return Received { upload: Some(upload), end: Ok(()) },
            Some(Err(error)) => return Received::stopped(upload, broken_off(&error)),
        }
    }
}

/// Pieces of a body that are appended together, because each append is a visit to another thread.
struct Batch {
    pieces: Vec<Bytes>,
    bytes: u64,
    /// How the body ended, if it did.
    end: Option<Result<(), axum::Error>>,
}

/// Adds what has come meanwhile to a piece. Nothing is waited for: what came is kept even if the rest never comes.
async fn gather(body: &mut Body, first: Bytes) -> Batch {
    let mut batch = Batch { bytes: first.len() as u64, pieces: vec![first], end: None };
    while batch.bytes < BATCH && batch.end.is_none() {
        let frame = poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending => Poll::Ready(None),
        });
        match frame.await {
            None => break,
            Some(None) => batch.end = Some(Ok(())),
            Some(Some(Err(error))) => batch.end = Some(Err(error)),
            Some(Some(Ok(frame))) => {
                // Trailers are passed over.
                if let Ok(piece) = frame.into_data() {
                    batch.bytes += piece.len() as u64;
                    batch.pieces.push(piece);
                }
            }
        }
    }
    batch
}

/// Holds a small body in memory.
pub(crate) async fn into_memory(
    body: &mut Body,
    headers: &HeaderMap,
    bound: Bound<'_>,
) -> Result<Bytes, Refusal> {
    if content_length(headers).unwrap_or(0) > bound.limit {
        return Err(Refusal::too_large(bound.what, bound.limit));
    }
    let mut whole = BytesMut::new();
    while let Some(piece) = next(body, bound.idle).await? {
        if whole.len() as u64 + piece.len() as u64 > bound.limit {
            return Err(Refusal::too_large(bound.what, bound.limit));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Reads and forgets what is left of a refused body, within reason.
pub(crate) async fn drain(body: &mut Body, headers: &HeaderMap) {
    // Who asks before sending has not sent anything, and need not.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let read = async {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(piece)) = data(body).await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    };
    // Out of time is as good as done.
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}

/// The next bytes of a body; trailers are passed over.
async fn data(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Ok(frame) => match frame.into_data() {
                Ok(bytes) => return Some(Ok(bytes)),
                Err(_trailers) => {}
            },
            Err(error) => return Some(Err(error)),
        }
    }
}

/// The next piece of a body, `None` at its end.
pub(crate) async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, Refusal> {
    match tokio::time::timeout(idle, data(body)).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => Err(broken_off(&error)),
        Err(_) => {
            let message = "nothing was sent for too long; send the rest";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::SizeInvalid, message))
        }
    }
}

fn broken_off(error: &axum::Error) -> Refusal {
    tracing::debug!(%error, "a client stopped sending");
    Refusal::bad(Code::SizeInvalid, "the body ended early; send the rest")
}
