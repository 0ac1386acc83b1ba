//! Taking in a request's body: to the staging area piece by piece, or, for a manifest, to memory.
//!
//! A client may stop sending, or send more than it said. What came before is kept where someone can come back for
//! it. A body that is refused is still read for a moment: a server that closes on unread bytes resets the
//! connection, and the client never sees why.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::{Bytes, BytesMut};
use plyos_blobs::Upload;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::range::number;
use crate::refusal::{Code, Refusal};

/// What is read of a refused body, in bytes: a manifest somewhat too large.
const DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// How long is spent on reading a refused body.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Bytes that are appended to an upload at a time, if so many are there; with one piece more, the memory of an upload.
const BATCH: u64 = 512 * 1024;

/// Bytes of bodies that are held in memory, of all requests together; a manifest may have 4 MiB.
const MOST_IN_MEMORY: usize = 64 * 1024 * 1024;
/// They are counted in steps of so many: most manifests take one.
const STEP: usize = 64 * 1024;
/// How long a request waits for memory.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// Memory for the bodies of all requests that are held whole.
#[derive(Debug)]
pub(crate) struct Room {
    steps: Arc<Semaphore>,
    /// How long to wait for some.
    patience: Duration,
}

impl Default for Room {
    fn default() -> Self {
        Self { steps: Arc::new(Semaphore::new(MOST_IN_MEMORY / STEP)), patience: PATIENCE }
    }
}

/// A part of it, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Taken(OwnedSemaphorePermit);

impl Room {
    fn take(&self) -> Option<Taken> {
        // Never closed.
        Arc::clone(&self.steps).try_acquire_many_owned(0).ok().map(Taken)
    }

    /// Makes a part large enough for so many bytes.
    async fn enlarge(&self, taken: &mut Taken, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.div_ceil(STEP).saturating_sub(taken.0.num_permits());
        let more = Arc::clone(&self.steps).acquire_many_owned(more as u32);
        match tokio::time::timeout(self.patience, more).await {
            Ok(Ok(more)) => {
                taken.0.merge(more);
                Ok(())
            }
            _ => {
                let message = "too much is being taken in at once; try again";
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooManyRequests, message)
                    .header(header::RETRY_AFTER, HeaderValue::from_static("5")))
            }
        }
    }
}

/// Holds a small body in memory, as much of it as has come. The room that it takes is to be kept as long as the bytes are.
pub(crate) async fn into_memory(
    body: &mut Body,
    headers: &HeaderMap,
    bound: Bound<'_>,
    room: &Room,
) -> Result<(Bytes, Taken), Refusal> {
    if content_length(headers).unwrap_or(0) > bound.limit {
        return Err(Refusal::too_large(bound.what, bound.limit));
    }
    let (mut whole, mut taken) = (BytesMut::new(), room.take().ok_or_else(Refusal::storage)?);
    while let Some(piece) = next(body, bound.idle).await? {
        let length = whole.len() + piece.len();
        if length as u64 > bound.limit {
            return Err(Refusal::too_large(bound.what, bound.limit));
        }
        room.enlarge(&mut taken, length).await?;
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), taken))
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    #[tokio::test]
    async fn what_is_held_in_memory_is_bounded_for_all_together() {
        let room = Room { steps: Arc::new(Semaphore::new(4)), patience: Duration::from_millis(20) };
        let bound = Bound { what: "a manifest", limit: 1024 * 1024, idle: Duration::from_secs(60) };
        let take = async |steps: usize| {
            let mut body = Body::from(vec![7; steps * STEP]);
            into_memory(&mut body, &HeaderMap::new(), bound, &room).await
        };
        let (bytes, first) = take(3).await.unwrap();
        assert_eq!(bytes.len(), 3 * STEP);
        let refused = take(2).await.err().unwrap().into_response();
        assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
        let (_, second) = take(1).await.unwrap();
        drop((first, second));
        // Nothing was lost over the refusal.
        assert_eq!(room.steps.available_permits(), 4);
        assert!(take(4).await.is_ok());
    }
}
