//! read -> cut -> hash and compress (or take from the frame cache) -> write, over all cores, in order and in bounded memory.
//!
//! Some threads read and hash files ahead, one writes the stream and cuts it, one computes the stream's SHA-256, the workers hash and compress chunks, and the
//! calling thread puts the frames in order and writes them. The channels have no bound of their own: each chunk holds a
//! permit of a common byte budget from being cut to being written. The chunk that is to be written next is always among those
//! that are under way, so the budget cannot lock up.
//!
//! When a step fails, it goes away with its ends of the channels; the steps before it find nobody to send to, those after it
//! nothing to receive, and all end.

mod budget;
mod encoder;
mod order;
mod worker;

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use plyos_layer_format::index::Chunk;
use sha2::{Digest, Sha256};

use self::worker::{Job, Piece};
use crate::ahead::{Ahead, MAX_READERS, Reading};
use crate::blob_writer::BlobWriter;
use crate::error::BuildError;
use crate::frame_cache::FrameCache;
use crate::produce::{self, Produced, Stop};
use crate::sink::Sink;
use crate::tree::Tree;

pub(crate) use self::budget::{Budget, Permit};
pub(crate) use self::encoder::{Coding, compressor};

/// Bytes of chunks under way: some for everyone, and for each worker the longest chunk it has and the one it takes next.
const BUDGET: usize = 4 << 20;
const BUDGET_OF_WORKER: usize = 2 << 20;

/// What went through the pipeline.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub produced: Produced,
    pub chunks: Vec<Chunk>,
    /// Stored bytes of each chunk's frame.
    pub frame_lengths: Vec<u32>,
    /// SHA-256 of the stream.
    pub diff_sha256: [u8; 32],
}

/// Runs the pipeline with `threads` workers. Frames come from the cache where it has them. `written` is called on this thread with the stream bytes each time that a
/// frame was written.
pub(crate) fn run<S: Sink>(
    tree: &Tree,
    coding: Coding,
    cache: Option<&FrameCache>,
    threads: usize,
    out: &mut BlobWriter<'_, S>,
    mut written: impl FnMut(u64, &BlobWriter<'_, S>),
) -> Result<Outcome, BuildError> {
    let budget = Budget::new(BUDGET + threads * BUDGET_OF_WORKER);
    let (job_sender, jobs) = crossbeam_channel::unbounded();
    let (frame_sender, frames) = crossbeam_channel::unbounded();
    let (piece_sender, pieces) = mpsc::channel::<Arc<Piece>>();
    let (file_sender, files) = mpsc::channel();
    let reading = Reading::new(tree);
    let reading = &reading;
    std::thread::scope(|scope| {
        for _ in 0..threads.min(MAX_READERS) {
            let file_sender = file_sender.clone();
            spawn(scope, "read ahead", move || reading.read(&file_sender))?;
        }
        drop(file_sender);
        for _ in 0..threads {
            let (jobs, frame_sender) = (jobs.clone(), frame_sender.clone());
            spawn(scope, "compress", move || worker::work(&jobs, &frame_sender, coding, cache))?;
        }
        drop((jobs, frame_sender));
        let diff = spawn(scope, "stream hash", move || {
            let mut hasher = Sha256::new();
            pieces.into_iter().for_each(|piece| hasher.update(&piece.bytes));
            hasher.finalize().into()
        })?;
        let producer = spawn(scope, "cut", move || {
            let mut ordinal = 0;
            let produced = produce::produce(tree, &mut Ahead::new(files), |chunk| {
                let permit = budget.acquire(chunk.len());
                let piece = Arc::new(Piece { bytes: chunk.to_vec(), _permit: permit });
                piece_sender.send(Arc::clone(&piece)).map_err(|_| Stop::Unwanted)?;
                job_sender.send(Job { ordinal, piece }).map_err(|_| Stop::Unwanted)?;
                ordinal += 1;
                Ok(())
            })?;
            // All is read. The later steps still have some work, so looking at the tree once more costs no time.
            tree.check_unchanged()?;
            Ok(produced)
        })?;
        let mut chunks = Vec::new();
        let mut frame_lengths = Vec::new();
        let mut done = 0;
        order::in_order(frames, |frame| {
            let length = frame.piece.bytes.len() as u32;
            out.write_frame(&frame.id, &frame.stored)?;
            chunks.push(Chunk { id: frame.id, length });
            frame_lengths.push(frame.stored.len() as u32);
            done += u64::from(length);
            written(done, out);
            Ok(())
        })?;
        let produced = match join(producer) {
            Ok(produced) => produced,
            Err(Stop::Failed(error)) => return Err(error),
            // A worker that fails says so before it goes away; without that it went away in an orderly fashion.
            Err(Stop::Unwanted) => {
                return Err(BuildError::Compress(io::Error::other("a worker thread went away")));
            }
        };
        Ok(Outcome { produced, chunks, frame_lengths, diff_sha256: join(diff) })
    })
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, BuildError> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, run).map_err(BuildError::Thread)
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
