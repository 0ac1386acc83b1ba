//! From the network into the store: one pull for all layers of a command.
//!
//! The thread that runs this owns the store's writer; requests and decoding run on others ([`plyos_transfer::pull`]). Verified frames are
//! appended in the order of their layer as far as they are there, and committed now and then as partial layers, so that a
//! command that is killed goes on where it stopped.

use super::{Job, Known};
use crate::candidate::Candidate;
use crate::target::Target;
use plyos_ids::Codec;
use plyos_layer_build::reader::{self, Kept};
use plyos_layer_format::frames::Form;
use plyos_layer_format::index::Chunk;
use plyos_layer_format::pages::PageHashes;
use plyos_plan::fetch::Policy;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{LayerUpdate, Place, RecordType, Writer};
use plyos_transfer::pull::{Arrival, Check, Part, Pulling};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time after which partial layers are committed: with what is being gathered, what a kill costs at most.
const COMMIT_AFTER: Duration = Duration::from_millis(200);
/// On a slow device it is so many times what the last commit took, so that commits take little of the whole.
const COMMIT_SHARE: u32 = 10;
/// How often progress is told at least.
const TELL: Duration = Duration::from_millis(100);

/// What decoding needs to know of a layer.
struct Layer {
    form: Form,
    chunks: Arc<Vec<Chunk>>,
    what: String,
}

/// Verifies frames of all layers.
struct Layers(Vec<Layer>);

/// What the store keeps of a chunk.
struct Stored {
    chunk: Chunk,
    codec: Codec,
    bytes: Vec<u8>,
}

impl Check for Layers {
    type Kept = Stored;

    fn check(&self, part: usize, ordinal: u64, frame: Vec<u8>) -> Result<Stored, Failure> {
        let layer = self.0.get(part);
        let chunk = layer.and_then(|layer| layer.chunks.get(usize::try_from(ordinal).ok()?));
        let (Some(layer), Some(chunk)) = (layer, chunk) else {
            return Err(Failure::new(ExitCode::Failure, "a chunk nobody asked for; this is a defect of pkg"));
        };
        let kept = reader::kept(layer.form, &frame, chunk).or_fail(
            ExitCode::Signature,
            format_args!("a chunk of {} is refused, nothing was changed", layer.what),
        )?;
        let (codec, bytes) = match kept {
            Kept::AsItCame => (Codec::Zstd, frame),
            Kept::Instead(codec, bytes) => (codec, bytes),
        };
        Ok(Stored { chunk: *chunk, codec, bytes })
    }
}

/// Fetches, verifies and appends what is missing of all jobs, and hands their layers to the writer. `watch` is told the number of a
/// job and how many bytes came for it. After a failure what came is committed, for the next try.
pub async fn run(
    jobs: &mut [Job],
    target: &Target,
    writer: &mut Writer,
    known: &mut Known,
    watch: &dyn Fn(usize, u64),
) -> Result<(), Failure> {
    let fetched = fetch(jobs, target, writer, known, watch).await;
    jobs.iter_mut().for_each(|job| job.fill(known));
    match fetched {
        Ok(()) => jobs.iter().try_for_each(|job| job.write_whole(target, writer)),
        Err(failure) => {
            // The first failure is the one to be told.
            let kept = jobs
                .iter()
                .filter(|job| job.is_worth_keeping())
                .try_for_each(|job| job.write(target, writer));
            let _ = kept.and_then(|()| commit(target, writer));
            Err(failure)
        }
    }
}

async fn fetch(
    jobs: &mut [Job],
    target: &Target,
    writer: &mut Writer,
    known: &mut Known,
    watch: &dyn Fn(usize, u64),
) -> Result<(), Failure> {
    if jobs.iter().all(|job| job.pieces.is_empty()) {
        return Ok(());
    }
    let layers = jobs.iter().map(Job::layer).collect();
    let parts = jobs.iter_mut().map(Job::part).collect();
    let mut pulling = Pulling::start(parts, Policy::default(), &Arc::new(Layers(layers)))?;
    let mut batch = Vec::new();
    let (mut uncommitted, mut commit_at) = (false, Instant::now() + COMMIT_AFTER);
    let mut failed = None;
    let mut more = true;
    while more {
        more = pulling.gather(&mut batch, Instant::now() + TELL).await;
        for (number, job) in jobs.iter_mut().enumerate() {
            let came = pulling.take_received(number);
            if came > 0 {
                job.candidate.count(came);
                watch(number, came);
            }
        }
        batch.sort_unstable_by_key(|arrival: &Arrival<Stored>| (arrival.part, arrival.ordinal));
        for arrival in batch.drain(..) {
            pulling.stored(&arrival);
            if failed.is_some() {
                continue;
            }
            let Stored { chunk, codec, bytes } = &arrival.kept;
            match writer.append_chunk(*codec, bytes) {
                Ok(place) => {
                    known.insert(chunk.id, place);
                    uncommitted = true;
                    if let Some(job) = jobs.get_mut(arrival.part) {
                        job.appended += 1;
                    }
                }
                Err(error) => {
                    failed = Some(target.fail(&error));
                    pulling.halt();
                }
            }
        }
        let begun = Instant::now();
        if more && failed.is_none() && uncommitted && begun >= commit_at {
            if let Err(failure) = keep(jobs, target, writer, known) {
                failed = Some(failure);
                pulling.halt();
            }
            let ended = Instant::now();
            (uncommitted, commit_at) = (false, ended + COMMIT_AFTER.max((ended - begun) * COMMIT_SHARE));
        }
    }
    failed.map_or_else(|| pulling.outcome(), Err)
}

/// Commits what is there of the layers that have begun to come.
fn keep(jobs: &mut [Job], target: &Target, writer: &mut Writer, known: &Known) -> Result<(), Failure> {
    for job in jobs.iter_mut().filter(|job| job.appended > job.committed) {
        job.committed = job.appended;
        let places: Vec<_> = job.chunks.iter().map(|chunk| known.get(&chunk.id).copied()).collect();
        job.put(target, writer, places)?;
    }
    commit(target, writer)
}

fn commit(target: &Target, writer: &mut Writer) -> Result<(), Failure> {
    writer.commit(None).map_err(|error| target.fail(&error))
}

impl Job {
    fn layer(&self) -> Layer {
        let Candidate { manifest, what, .. } = &self.candidate;
        Layer { form: manifest.form, chunks: Arc::clone(&self.chunks), what: what.clone() }
    }

    fn part(&mut self) -> Part {
        let Candidate { manifest, source, .. } = &self.candidate;
        let pieces = self.pieces.clone();
        Part { source: source.clone(), blob: manifest.blob, blob_len: manifest.blob_len, pieces }
    }

    fn fill(&mut self, known: &Known) {
        for (place, chunk) in self.places.iter_mut().zip(self.chunks.iter()) {
            if place.is_none() {
                *place = known.get(&chunk.id).copied();
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.places.iter().all(Option::is_some)
    }

    /// Whether a later try can use what is here of it.
    fn is_worth_keeping(&self) -> bool {
        self.appended > 0 || (self.damaged.is_empty() && self.is_complete())
    }

    fn write_whole(&self, target: &Target, writer: &mut Writer) -> Result<(), Failure> {
        if self.is_complete() {
            return self.write(target, writer);
        }
        let line = format!(
            "chunks of {} are missing after the download; this is a defect of pkg",
            self.candidate.what
        );
        Err(Failure::new(ExitCode::Failure, line))
    }

    /// Hands index, map and manifest to the writer; complete when every place is known.
    fn write(&self, target: &Target, writer: &mut Writer) -> Result<(), Failure> {
        self.put(target, writer, self.places.clone())?;
        let Candidate { manifest, manifest_bytes, .. } = &self.candidate;
        writer
            .put_record(RecordType::Manifest, manifest.digest.as_bytes(), manifest_bytes)
            .map_err(|error| target.fail(&error))
    }

    /// Hands index and map to the writer. A damaged chunk that was not fetched again stays where it is.
    fn put(
        &self,
        target: &Target,
        writer: &mut Writer,
        mut places: Vec<Option<Place>>,
    ) -> Result<(), Failure> {
        for (place, damaged) in places.iter_mut().zip(&self.damaged) {
            *place = place.or(*damaged);
        }
        let Candidate { manifest, index, .. } = &self.candidate;
        let hashes = PageHashes::compute(index);
        let update = LayerUpdate {
            id: manifest.layer,
            index,
            page_hashes: hashes.as_list(),
            places: &places,
            manifest: Some(manifest.digest),
        };
        writer.put_layer(update).map_err(|error| target.fail(&error))
    }
}
