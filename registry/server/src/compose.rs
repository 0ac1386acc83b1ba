//! Bodies of instructions: uploads that copy ranges of blobs which the repository holds (docs/registry.md, "Composing blobs").
//!
//! A body is taken whole or not at all: if it is refused, the session is as it was before. What is copied is read and hashed here,
//! a few at a time, because it is work that a client can ask for with few bytes.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use plyos_blobs::{
    BlobRange, ComposeError, Composer, Instruction, InstructionError, Instructions, RepositoryName, Upload,
};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::access::Caller;
use crate::receive::{self, Bound};
use crate::refusal::{Code, Refusal};
use crate::router::Registry;

/// The type of such a body; another version is another type.
const MEDIA_TYPE: &str = "application/vnd.plyos.compose.v1";
/// Copies that are read and hashed at a time, of all clients; more wait.
const COPIES_AT_A_TIME: usize = 2;
/// Bytes that are appended together.
const BATCH: u64 = 512 * 1024;
/// Pieces that are appended together; a client may make them as small as it likes.
const MOST_PIECES: usize = 1024;

/// Room for copies.
#[derive(Debug)]
pub(crate) struct Copies(Semaphore);

impl Default for Copies {
    fn default() -> Self {
        Self(Semaphore::new(COPIES_AT_A_TIME))
    }
}

/// Whether a body is one of instructions.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(MEDIA_TYPE)
}

/// Carries out the instructions of a body at the end of an upload.
pub(crate) async fn append(
    registry: &Registry,
    name: &RepositoryName,
    request: &Parts,
    upload: Upload,
    body: &mut Body,
    bound: Bound<'_>,
) -> Result<Upload, Refusal> {
    let composer = registry.storage.composer(name);
    let mut composing =
        Composing { registry, composer, upload: Some(upload), batch: Vec::new(), bytes: 0, bound };
    let done = match Caller::of(request).is_some_and(|caller| caller.may_read(name.as_str())) {
        true => composing.all(body).await,
        // What may not be read may not be had by way of a blob that is told in its ranges.
        false => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            Code::Denied,
            "copying from a repository needs the right to pull",
        )),
    };
    let upload = composing.upload.ok_or_else(Refusal::storage)?;
    match done {
        Ok(()) => Ok(upload),
        Err(refusal) => {
            upload.rewind().await?.park().await?;
            Err(refusal)
        }
    }
}

struct Composing<'a> {
    registry: &'a Registry,
    composer: Composer,
    /// Gone if the storage failed.
    upload: Option<Upload>,
    /// Bytes that are to be appended.
    batch: Vec<Bytes>,
    bytes: u64,
    bound: Bound<'a>,
}

impl Composing<'_> {
    async fn all(&mut self, body: &mut Body) -> Result<(), Refusal> {
        let mut instructions = Instructions::new();
        while let Some(mut piece) = receive::next(body, self.bound.idle).await? {
            while let Some(instruction) = instructions.next(&mut piece)? {
                match instruction {
                    Instruction::Bytes(bytes) => self.bytes(bytes).await?,
                    Instruction::Copy(range) => self.copy(range).await?,
                }
            }
        }
        instructions.finish()?;
        self.flush().await?;
        let upload = self.upload.as_ref().ok_or_else(Refusal::storage)?;
        Ok(self.composer.accept(upload)?)
    }

    async fn bytes(&mut self, bytes: Bytes) -> Result<(), Refusal> {
        self.check_room(bytes.len() as u64)?;
        self.bytes += bytes.len() as u64;
        self.batch.push(bytes);
        let full = self.bytes >= BATCH || self.batch.len() >= MOST_PIECES;
        if full { self.flush().await } else { Ok(()) }
    }

    async fn copy(&mut self, range: BlobRange) -> Result<(), Refusal> {
        self.check_room(range.length)?;
        self.flush().await?;
        let upload = self.upload.as_ref().ok_or_else(Refusal::storage)?;
        let recipe = self.composer.admit(upload, &range).await?;
        // Never closed.
        let _permit = self.registry.copies.0.acquire().await;
        let upload = self.upload.take().ok_or_else(Refusal::storage)?;
        let end = range.offset.saturating_add(range.length);
        self.upload = Some(upload.copy(&self.registry.storage.blobs, &recipe, range.offset..end).await?);
        self.registry.metrics.composed.inc_by(range.length);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Refusal> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let upload = self.upload.take().ok_or_else(Refusal::storage)?;
        self.upload = Some(upload.append(std::mem::take(&mut self.batch)).await?);
        self.bytes = 0;
        Ok(())
    }

    fn check_room(&self, more: u64) -> Result<(), Refusal> {
        let received = self.upload.as_ref().map_or(0, Upload::received);
        let size = received.saturating_add(self.bytes).saturating_add(more);
        if size > self.bound.limit {
            Err(Refusal::too_large(self.bound.what, self.bound.limit))
        } else {
            Ok(())
        }
    }
}

impl From<InstructionError> for Refusal {
    fn from(error: InstructionError) -> Self {
        Self::bad(Code::BlobUploadInvalid, error.to_string())
    }
}

impl From<ComposeError> for Refusal {
    fn from(error: ComposeError) -> Self {
        let message = error.to_string();
        match error {
            ComposeError::Unknown(digest) => {
                Self::missing(Code::BlobUnknown, message).detail(json!({ "digest": digest.to_string() }))
            }
            ComposeError::Range { .. } => Self::bad(Code::BlobUploadInvalid, message),
            ComposeError::TooMuch => Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid, message),
            ComposeError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_type_says_what_a_body_is() {
        for (value, asked) in [
            ("application/vnd.plyos.compose.v1", true),
            ("Application/VND.plyos.Compose.v1 ; x=y", true),
            ("application/vnd.plyos.compose.v2", false),
            ("application/octet-stream", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_asked_for(&headers), asked, "{value}");
        }
        assert!(!is_asked_for(&HeaderMap::new()));
    }
}
