//! Before anything vouches for a layer: does its tar stream show other tools the tree of its index?
//!
//! Only the frames that hold headers are fetched, by merged ranges a few MiB at a time: of a layer of large files next to nothing, of
//! one of small files nearly all.

use crate::remote::Remote;
use plyos_layer_build::reader::{self, AgreeError};
use plyos_layer_format::agreement::{Expected, expectations};
use plyos_layer_format::frames::FrameTable;
use plyos_layer_format::index::Index;
use plyos_layer_format::pages::SlicePages;
use plyos_plan::fetch::policy::{GAP, REQUEST};
use plyos_report::{ExitCode, Failure, OrFail, Progress};

/// Bytes of expected headers after which a range ends: a layer of empty files is nothing else.
const HEADERS: usize = 16 << 20;

/// Frames of one range, with what must stand in each.
#[derive(Default)]
struct Batch {
    offset: u64,
    end: u64,
    /// Bytes of headers held in `frames`.
    held: usize,
    /// What to expect, blob offset, stored bytes.
    frames: Vec<(Expected, u64, u32)>,
}

impl Batch {
    /// Whether a frame at `offset` is better asked for separately.
    const fn is_full(&self, offset: u64) -> bool {
        offset > self.end + GAP || self.end - self.offset >= REQUEST || self.held > HEADERS
    }

    fn add(&mut self, expected: Expected, offset: u64, stored: u32) {
        if self.frames.is_empty() {
            self.offset = offset;
        }
        self.end = offset + u64::from(stored);
        self.held += expected.held();
        self.frames.push((expected, offset, stored));
    }
}

impl Remote {
    /// Compares all of the stream that is no content with the index, which was checked.
    pub async fn agree(&self, index: &Index<SlicePages<'_>>, progress: &Progress) -> Result<(), Failure> {
        let table = self.table(index.chunk_count()).await?;
        let bar = progress.bytes("comparing index and tar", table.frames_len());
        let mut batch = Batch::default();
        for (expected, (offset, stored)) in expectations(index).zip(table.places()) {
            let expected = expected.or_fail(ExitCode::Signature, self.refused())?;
            if expected.is_content() {
                continue;
            }
            if !batch.frames.is_empty() && batch.is_full(offset) {
                self.compare(index, &table, &std::mem::take(&mut batch)).await?;
                bar.set_position(offset);
            }
            batch.add(expected, offset, stored);
        }
        if !batch.frames.is_empty() {
            self.compare(index, &table, &batch).await?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn compare(
        &self,
        index: &Index<SlicePages<'_>>,
        table: &FrameTable,
        batch: &Batch,
    ) -> Result<(), Failure> {
        let bytes = self.manifest.range(&self.source, batch.offset, batch.end - batch.offset).await?;
        for (expected, offset, stored) in &batch.frames {
            let start = usize::try_from(offset - batch.offset).unwrap_or(usize::MAX);
            let frame = bytes.get(start..start.saturating_add(*stored as usize)).ok_or_else(|| {
                Failure::new(ExitCode::Network, format!("fetching {}: a range came short", self.what))
            })?;
            let chunk = reader::decode_chunk(table.form.codec(), frame, &expected.chunk)
                .or_fail(ExitCode::Signature, self.refused())?;
            expected
                .check(&chunk)
                .map_err(|difference| AgreeError::of(index, difference))
                .or_fail(ExitCode::Signature, self.refused())?;
        }
        Ok(())
    }

    fn refused(&self) -> String {
        format!("{} is refused, nothing was signed", self.what)
    }
}
