//! Bytes on their way out of the store, a piece at a time.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetResult, GetResultPayload};

use crate::error::StoreError;

/// Bytes read from a local file at a time. `object_store` itself reads 8 KiB, which costs a thread hand-over
/// each and keeps a fast disk idle; a larger piece costs memory for each open download.
const PIECE: u64 = 256 * 1024;

/// Some bytes of one object, as a stream that holds one piece at a time.
pub struct Content {
    /// Which bytes of the object these are.
    pub range: Range<u64>,
    /// The bytes. An error ends the stream.
    pub stream: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl Content {
    pub(crate) fn new(result: GetResult) -> Self {
        let range = result.range.clone();
        let path = result.meta.location.clone();
        let stream = match result.payload {
            GetResultPayload::File(file, _) => file_pieces(Arc::new(file), range.clone(), path).boxed(),
            GetResultPayload::Stream(stream) => {
                stream.map_err(move |e| StoreError::backend("read", &path, e)).boxed()
            }
        };
        Self { range, stream }
    }
}

fn file_pieces(
    file: Arc<File>,
    range: Range<u64>,
    path: Path,
) -> impl futures_util::Stream<Item = Result<Bytes, StoreError>> {
    stream::try_unfold((file, range, path), |(file, range, path)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start.saturating_add(PIECE));
        let piece = read_piece(Arc::clone(&file), range.start..end).await?;
        if piece.is_empty() {
            return Err(StoreError::Damaged { path: path.to_string(), why: "it became shorter" });
        }
        let start = range.start + piece.len() as u64;
        Ok(Some((piece, (file, start..range.end, path))))
    })
}

/// Reads what one `read` gives of `range`; empty at the end of the file.
pub(crate) async fn read_piece(file: Arc<File>, range: Range<u64>) -> Result<Bytes, StoreError> {
    let read = tokio::task::spawn_blocking(move || {
        let len = range.end.saturating_sub(range.start).min(PIECE) as usize;
        let mut buffer = vec![0u8; len];
        let read = file.read_at(&mut buffer, range.start)?;
        buffer.truncate(read);
        Ok(Bytes::from(buffer))
    });
    match read.await {
        Ok(result) => result.map_err(StoreError::staging("read a file")),
        Err(e) => Err(StoreError::Staging { doing: "read a file", source: std::io::Error::other(e) }),
    }
}
