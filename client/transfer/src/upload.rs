//! Upload sessions of OCI distribution 1.1: a blob that is sent while it is still being made (`POST`, a streamed `PATCH`, `PUT ?digest=`), or
//! all at once from a file (`POST`, `PUT`).
//!
//! [`channel`] is the way from who makes the blob to the body of the `PATCH`: bounded, so that a slow network slows the making down
//! and memory stays small. A session that is not wanted any more is cancelled ([`Session::cancel`]).

use crate::compose;
use crate::http::{Http, Pulse, TransferError, accept};
use crate::registry::Registry;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use plyos_ids::BlobDigest;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use reqwest::{Body, Method, Response, Url};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Bytes of one piece of a body.
const PIECE: usize = 256 << 10;
/// Pieces on their way; with [`PIECE`] the memory that an upload takes.
const PIECES: usize = 8;
/// How long a piece may wait to be taken.
const STALLED: Duration = Duration::from_secs(60);
/// How long a registry may take to flush a blob and put it in its place.
const COMMIT: Duration = Duration::from_secs(600);
/// Attempts to end an upload; a retry waits longer each time.
const ATTEMPTS: u32 = 3;
/// By this header a registry says that it takes instructions as a body.
const COMPOSE: HeaderName = HeaderName::from_static("plyos-compose");
/// Media type of any body.
const BYTES: &str = "application/octet-stream";

/// The writing end of a body. Bytes are sent in pieces; what is held back goes with [`BodyWriter::finish`].
///
/// Writing waits while the network does not take more, so it must be done where a thread may block.
#[derive(Debug)]
pub struct BodyWriter {
    pieces: mpsc::Sender<Bytes>,
    held: BytesMut,
    pulse: Arc<Pulse>,
    runtime: Handle,
}

/// The other end.
#[derive(Debug)]
pub struct BodyReader {
    pieces: mpsc::Receiver<Bytes>,
    pulse: Arc<Pulse>,
}

/// A body that is written while it is sent.
///
/// # Panics
/// Outside of a runtime.
pub fn channel() -> (BodyWriter, BodyReader) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let pulse = Arc::new(Pulse::default());
    let held = BytesMut::with_capacity(PIECE);
    let writer = BodyWriter { pieces: sender, held, pulse: Arc::clone(&pulse), runtime: Handle::current() };
    (writer, BodyReader { pieces: receiver, pulse })
}

impl BodyWriter {
    /// Sends what is held back. Without this the body ends early, but orderly.
    pub fn finish(mut self) -> io::Result<()> {
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        let piece = self.held.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.held.reserve(PIECE);
        let sent = self.runtime.block_on(async {
            let taken = self.pieces.send(piece);
            tokio::time::timeout(STALLED, taken).await
        });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the upload ended")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the upload stands still")),
        }
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (now, _) = bytes.split_at(bytes.len().min(PIECE - self.held.len()));
        self.held.extend_from_slice(now);
        if self.held.len() == PIECE {
            self.send()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        self.pulse.end();
    }
}

impl Stream for BodyReader {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.pieces.poll_recv(context);
        self.pulse.beat();
        piece.map(|piece| piece.map(Ok))
    }
}

/// An upload that has begun.
#[derive(Debug)]
pub struct Session {
    http: Http,
    what: String,
    location: Url,
    composes: bool,
}

/// An upload that broke off, and why.
#[derive(Debug)]
pub struct Broken {
    /// To be cancelled.
    pub session: Session,
    /// What went wrong.
    pub error: TransferError,
}

impl Registry {
    /// Begins an upload; `what` names it in errors.
    pub async fn begin_upload(&self, what: &str) -> Result<Session, TransferError> {
        let http = self.http().clone();
        let url = self.place().url("blobs/uploads/");
        let start = http.request(Method::POST, &url).header(CONTENT_LENGTH, 0);
        let response = accept(what, http.send(what, start).await?).await?;
        let location = location(&response).ok_or_else(|| TransferError::Refused {
            what: what.to_owned(),
            status: response.status().as_u16(),
            detail: ": it named no upload location".into(),
        })?;
        let composes = response.headers().get(COMPOSE).is_some_and(|version| version == "1");
        Ok(Session { http, what: what.to_owned(), location, composes })
    }
}

/// Where a session goes on.
fn location(response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(location).ok()
}

impl Session {
    /// Whether the registry takes instructions ([`crate::compose`]).
    pub const fn composes(&self) -> bool {
        self.composes
    }

    /// Sends a body by one streamed `PATCH`. The session then waits for [`Session::finish`] or [`Session::cancel`].
    pub async fn send(self, body: BodyReader) -> Result<Self, Box<Broken>> {
        self.patch(body, BYTES).await
    }

    /// Sends a body of instructions.
    pub async fn send_composed(self, body: BodyReader) -> Result<Self, Box<Broken>> {
        self.patch(body, compose::MEDIA_TYPE).await
    }

    async fn patch(mut self, body: BodyReader, media_type: &'static str) -> Result<Self, Box<Broken>> {
        let pulse = Arc::clone(&body.pulse);
        let patch = self
            .http
            .long_request(Method::PATCH, &self.location)
            .header(CONTENT_TYPE, media_type)
            .body(Body::wrap_stream(body));
        let answer = match self.http.send_long(&self.what, patch, &pulse, STALLED).await {
            Ok(response) => accept(&self.what, response).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) => {
                self.location = location(&response).unwrap_or(self.location);
                Ok(self)
            }
            Err(error) => Err(Box::new(Broken { session: self, error })),
        }
    }

    /// Ends the session: what was sent is the blob `digest`. Tried again when the registry fails at it, since nothing is sent.
    pub async fn finish(self, digest: &BlobDigest) -> Result<(), TransferError> {
        let target = self.target(digest);
        let mut attempt = 1;
        loop {
            let put = self.http.long_request(Method::PUT, &target).header(CONTENT_LENGTH, 0);
            match self.http.send_long(&self.what, put, &Pulse::ended(), COMMIT).await {
                Ok(response) if response.status().is_server_error() && attempt < ATTEMPTS => {}
                Ok(response) => return accept(&self.what, response).await.map(drop),
                Err(error) if attempt >= ATTEMPTS => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
            attempt += 1;
        }
    }

    /// Sends bytes of memory, and ends the session.
    pub async fn put(self, digest: &BlobDigest, bytes: &[u8]) -> Result<(), TransferError> {
        let put = self.http.request(Method::PUT, self.target(digest).as_str());
        let put = put.header(CONTENT_TYPE, BYTES).body(bytes.to_vec());
        accept(&self.what, self.http.send(&self.what, put).await?).await.map(drop)
    }

    /// Sends a file of `length` bytes, streamed, and ends the session. `progress` is called with each piece's length.
    pub async fn put_file(
        self,
        digest: &BlobDigest,
        path: &Path,
        length: u64,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<(), TransferError> {
        let file = tokio::fs::File::open(path)
            .await
            .map_err(|source| TransferError::File { path: path.display().to_string(), source })?;
        let pulse = Arc::new(Pulse::ended());
        let beating = Arc::clone(&pulse);
        let pieces = tokio_util::io::ReaderStream::with_capacity(file, PIECE).inspect_ok(move |piece| {
            beating.beat();
            progress(piece.len() as u64);
        });
        let put = self
            .http
            .long_request(Method::PUT, &self.target(digest))
            .header(CONTENT_LENGTH, length)
            .header(CONTENT_TYPE, BYTES)
            .body(Body::wrap_stream(pieces));
        accept(&self.what, self.http.send_long(&self.what, put, &pulse, COMMIT).await?).await.map(drop)
    }

    /// Gives the session up. A registry that does not hear of it forgets it by itself, so nothing can fail.
    pub async fn cancel(self) {
        let delete = self.http.request(Method::DELETE, self.location.as_str());
        let _ = self.http.send(&self.what, delete).await;
    }

    fn target(&self, digest: &BlobDigest) -> Url {
        let mut target = self.location.clone();
        target.query_pairs_mut().append_pair("digest", &digest.to_string());
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    fn writing(
        work: impl FnOnce(BodyWriter) -> io::Result<()> + Send + 'static,
    ) -> (io::Result<()>, Vec<Bytes>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (writer, reader) = channel();
            let written = tokio::task::spawn_blocking(move || work(writer));
            let pieces = reader.map(Result::unwrap).collect().await;
            (written.await.unwrap(), pieces)
        })
    }

    #[test]
    fn a_body_comes_whole_and_in_pieces() {
        let bytes: Vec<u8> = (0..3 * PIECE + 17).map(|at| at as u8).collect();
        let expected = bytes.clone();
        let (written, pieces) = writing(move |mut writer| {
            for part in bytes.chunks(1000) {
                writer.write_all(part)?;
            }
            writer.finish()
        });
        written.unwrap();
        assert_eq!(pieces.concat(), expected);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
    }

    #[test]
    fn nothing_is_no_piece() {
        let (written, pieces) = writing(BodyWriter::finish);
        written.unwrap();
        assert!(pieces.is_empty());
    }

    #[test]
    fn a_body_that_nobody_takes_fails_its_writer() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (mut writer, reader) = runtime.block_on(async { channel() });
        drop(reader);
        let error = writer.write_all(&vec![0; 2 * PIECE]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
