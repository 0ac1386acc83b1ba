//! Taking in a request's body: to the staging area piece by piece, or, for a manifest, to memory.
//!
//! A client may stop sending, or send more than it said. What came before is kept where someone can come back for
//! it. A body that is refused is still read for a moment: a server that closes on unread bytes resets the
//! connection, and the client never sees why.

use std::future::poll_fn;
use std::pin::Pin;
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

/// Appends a body to an upload.
pub(crate) async fn into_upload(
    body: &mut Body,
    headers: &HeaderMap,
    mut upload: Upload,
    bound: Bound<'_>,
) -> Result<Upload, Refusal> {
    let announced = content_length(headers).unwrap_or(0);
    if upload.received().saturating_add(announced) > bound.limit {
        return Err(Refusal::too_large(bound.what, bound.limit));
    }
    while let Some(piece) = next(body, bound.idle).await? {
        if upload.received().saturating_add(piece.len() as u64) > bound.limit {
            return Err(Refusal::too_large(bound.what, bound.limit));
        }
        upload = upload.append(piece).await?;
    }
    Ok(upload)
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

async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, Refusal> {
    match tokio::time::timeout(idle, data(body)).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => {
            tracing::debug!(%error, "a client stopped sending");
            Err(Refusal::bad(Code::SizeInvalid, "the body ended early; send the rest"))
        }
        Err(_) => {
            let message = "nothing was sent for too long; send the rest";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::SizeInvalid, message))
        }
    }
}
