//! The pull engine with sockets and time: frames of blobs come in over HTTP, are verified on other threads, and go out to whoever
//! stores them.
//!
//! What to ask and what to do with answers is decided by [`plyos_plan::fetch`]; here it gets connections ([`lane`]), a clock, and
//! threads that verify. All requests of all parts share one connection pool and one byte budget. The caller owns the store: it takes
//! verified frames from [`Pulling::gather`] and says when they are stored ([`Pulling::stored`]), which makes room. So a slow store stops
//! the network when the budget is used up and not before, and a slow network never keeps the store waiting with a lock of ours.

mod answer;
mod lane;
mod source;

use crate::http::TransferError;
use crate::layer::Source;
use crate::spool::Spool;
use bytes::Bytes;
use lane::Shared;
use plyos_ids::BlobDigest;
use plyos_plan::fetch::{Frame, Piece, Policy, Pull};
use plyos_report::{ExitCode, Failure};
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Bytes that are gathered before they are stored, so that frames of several requests become long runs in their own order and
/// not a patchwork.
const GATHER: u64 = 3 << 20;
/// Longest time for which they are gathered.
const GATHER_FOR: Duration = Duration::from_millis(100);

/// The missing frames of one blob.
#[derive(Debug)]
pub struct Part {
    /// Where the blob lies.
    pub source: Source,
    /// Which blob.
    pub blob: BlobDigest,
    /// Its bytes.
    pub blob_len: u64,
    /// What is missing of it, by offset.
    pub pieces: Vec<Piece>,
}

/// Verifies frames; called on several threads.
pub trait Check: Send + Sync + 'static {
    /// What is to be stored.
    type Kept: Send + 'static;

    /// Verifies the bytes of chunk `ordinal` of a part.
    fn check(&self, part: usize, ordinal: u64, frame: Vec<u8>) -> Result<Self::Kept, Failure>;
}

/// A verified frame.
#[derive(Debug)]
pub struct Arrival<K> {
    /// Which part.
    pub part: usize,
    /// Number of the chunk in its index.
    pub ordinal: u64,
    /// What is to be stored.
    pub kept: K,
    piece: usize,
    length: u64,
}

/// A pull under way. Dropping it ends it.
pub struct Pulling<K> {
    shared: Arc<Shared>,
    arrivals: mpsc::UnboundedReceiver<Arrival<K>>,
    /// Aborted when this is dropped.
    _lanes: JoinSet<()>,
}

impl<K: Send + 'static> Pulling<K> {
    /// Starts the requests and the threads that verify.
    pub fn start<C: Check<Kept = K>>(
        parts: Vec<Part>,
        policy: Policy,
        check: &Arc<C>,
    ) -> Result<Self, Failure> {
        let shared = Arc::new(shared(parts, policy)?);
        // Their number is bounded by the budget, to which each is charged until it is stored.
        let (verified, arrivals) = mpsc::unbounded_channel();
        let (frames, unverified) = crossbeam_channel::unbounded::<Frame>();
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(policy.parallel);
        for _ in 0..threads {
            let (shared, check) = (Arc::clone(&shared), Arc::clone(check));
            let (unverified, verified) = (unverified.clone(), verified.clone());
            std::thread::spawn(move || {
                for Frame { blob: part, piece, ordinal, bytes } in unverified {
                    let length = bytes.len() as u64;
                    match check.check(part, ordinal, bytes) {
                        // Nobody listens any more when the pull was dropped.
                        Ok(kept) => drop(verified.send(Arrival { part, ordinal, kept, piece, length })),
                        Err(failure) => shared.refuse(part, failure),
                    }
                }
            });
        }
        let mut lanes = JoinSet::new();
        for _ in 0..policy.parallel {
            let (shared, frames) = (Arc::clone(&shared), frames.clone());
            lanes.spawn(async move {
                // The threads live as long as the lanes.
                lane::run(&shared, &|frame| drop(frames.send(frame))).await;
            });
        }
        Ok(Self { shared, arrivals, _lanes: lanes })
    }

    /// Waits for verified frames, at most until `deadline`, and adds them to `batch`: several at a time where they come fast. `false`: nothing
    /// more will come; the batch may hold the last ones.
    pub async fn gather(&mut self, batch: &mut Vec<Arrival<K>>, deadline: Instant) -> bool {
        let (mut gathered, mut deadline) = (0, deadline);
        while gathered < GATHER {
            match tokio::time::timeout_at(deadline.into(), self.arrivals.recv()).await {
                Ok(Some(arrival)) => {
                    if batch.is_empty() {
                        deadline = deadline.min(Instant::now() + GATHER_FOR);
                    }
                    gathered += arrival.length;
                    batch.push(arrival);
                }
                Ok(None) => return false,
                Err(_) => break,
            }
        }
        true
    }

    /// Says that a frame was stored; its room is used for others.
    pub fn stored(&self, arrival: &Arrival<K>) {
        self.shared.stored(arrival.part, arrival.piece);
    }

    /// Asks for nothing more and drops what is under way; what was verified still comes.
    pub fn halt(&self) {
        self.shared.halt();
    }

    /// Bytes of bodies that came for a part since the last call.
    pub fn take_received(&self, part: usize) -> u64 {
        self.shared.take_received(part)
    }

    /// How it ended. To be asked when [`Pulling::gather`] gave `false` and everything was stored.
    pub fn outcome(self) -> Result<(), Failure> {
        self.shared.outcome()
    }
}

fn shared(parts: Vec<Part>, policy: Policy) -> Result<Shared, Failure> {
    let mut pull = Pull::new(policy);
    let mut places = Vec::with_capacity(parts.len());
    for Part { source, blob, blob_len, pieces } in parts {
        let place = source::Place::new(source, blob);
        pull.add(blob_len, pieces)
            .map_err(|error| Failure::new(ExitCode::Signature, format!("{}: {error}", place.what())))?;
        places.push(place);
    }
    Ok(Shared::new(pull, places))
}

/// Reads one range of a blob of `blob_len` bytes into memory, with the same patience as a large pull. Where the server ignores ranges,
/// the whole blob comes along if there is room to keep it. Not checked.
pub(crate) async fn read(
    source: &Source,
    blob: &BlobDigest,
    blob_len: u64,
    offset: u64,
    length: u64,
) -> Result<(Bytes, Option<Spool>), TransferError> {
    let place = source::Place::new(source.clone(), *blob);
    let policy = Policy { parallel: 1, budget: u64::MAX, ..Policy::default() };
    let mut pull = Pull::new(policy);
    let wrong = |why: String| TransferError::Length { what: place.what(), why };
    let whole = u32::try_from(length).map_err(|_| wrong(format!("{length} bytes at once")))?;
    if whole > 0 {
        let piece = Piece { offset, length: whole, ordinal: 0 };
        pull.add(blob_len, vec![piece]).map_err(|error| wrong(error.to_string()))?;
    }
    let shared = Shared::new(pull, vec![place]).keeping(blob_len);
    let body = std::sync::Mutex::new(Vec::new());
    lane::run(&shared, &|frame: Frame| {
        shared.stored(frame.blob, frame.piece);
        *body.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = frame.bytes;
    })
    .await;
    shared.error().map_or(Ok(()), Err)?;
    let body = body.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((body.into(), shared.take_kept()))
}
