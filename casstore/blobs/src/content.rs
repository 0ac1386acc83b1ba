//! Bytes on their way out of the store, a piece at a time.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetResult, GetResultPayload};

use crate::buffers::Buffer;
use crate::error::StoreError;
use crate::resident;
use crate::upload::blocking;

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
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::try_unfold((file, range, path), |(file, mut range, path)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let piece = read_piece(Arc::clone(&file), &range).await?;
        if piece.is_empty() {
            return Err(StoreError::Damaged { path: path.to_string(), why: "it became shorter" });
        }
        range.start += piece.len() as u64;
        Ok(Some((piece, (file, range, path))))
    })
}

/// Reads the first bytes of a range, as many as are at hand or fit into a buffer; none at the end of the file. `object_store`
/// itself reads 8 KiB at a time, which costs a visit to another thread each. Here that is only for what is not in memory, and
/// then the system reads ahead.
async fn read_piece(file: Arc<File>, range: &Range<u64>) -> Result<Bytes, StoreError> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let (mut buffer, start) = (Buffer::take(wanted), range.start);
    if let Some(read) = resident::read_at(&file, buffer.room(), start) {
        return Ok(buffer.freeze(read));
    }
    blocking("read a file", move || {
        let read = loop {
            match rustix::io::pread(&file, buffer.room(), start) {
                Err(rustix::io::Errno::INTR) => {}
                read => break read?,
            }
        };
        Ok(buffer.freeze(read))
    })
    .await
}
