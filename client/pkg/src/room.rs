//! Whether what comes, from the network or from files, finds room in the store, before a byte of it is fetched or written.

use crate::clean;
use crate::local::{Coming, LocalLayer};
use crate::pull::{self, Job, Known};
use crate::target::Target;
use plyos_report::{ExitCode, Failure, human};
use plyos_storefile::Writer;

/// Records of one command beside its layers: generation, history, certificates.
const RECORDS: u64 = 64 << 10;
/// What a larger size is rounded to, and what is added for the last chunk that does not fit before an obstacle.
const STEP: u64 = 1 << 20;

/// Bytes that find no room, 0 when all do.
pub fn missing(writer: &Writer, jobs: &[Job], coming: &Coming) -> u64 {
    let chunks = coming.lens.iter().copied().chain(jobs.iter().flat_map(Job::chunk_lens));
    // Each commit writes a new directory, while both copies still hold theirs.
    let directory = writer.superblock().directory.len;
    let whole = jobs.iter().flat_map(|job| job.other_lens(writer)).chain([directory, directory, RECORDS]);
    writer.missing_room(chunks, whole)
}

/// Cleans up and plans again, for what went may have held chunks that were not to be fetched. Refuses when what is to be
/// fetched finds no room then either.
pub async fn make(
    target: &Target,
    writer: &mut Writer,
    jobs: Vec<Job>,
    known: &mut Known,
    (local, coming): (&mut [LocalLayer], &mut Coming),
) -> Result<Vec<Job>, Failure> {
    clean::make_room(target, writer)?;
    *known = pull::known(target, writer)?;
    *coming = Coming::default();
    local.iter_mut().try_for_each(|local| local.count(known, coming))?;
    let mut promised = coming.chunks.clone();
    let mut again = Vec::with_capacity(jobs.len());
    for job in jobs {
        again.push(Job::plan(job.candidate, known, &mut promised).await?);
    }
    match missing(writer, &again, coming) {
        0 => Ok(again),
        missing => Err(too_small(writer, missing)),
    }
}

fn too_small(writer: &Writer, missing: u64) -> Failure {
    // One percent of what is added goes to the reserve.
    let larger = writer.superblock().store_len() + missing + missing / 64 + STEP;
    let line = format!(
        "the store has {} free, and {} more ({missing} bytes) are needed; nothing was downloaded. Remove something and run `pkg clean --keep 1`, or `pkg grow {}M`",
        human(writer.free_bytes()),
        human(missing),
        larger.div_ceil(STEP)
    );
    Failure::new(ExitCode::Store, line)
}
