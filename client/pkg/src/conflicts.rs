//! Whether the layers of a generation to be can stand side by side.
//!
//! It is asked before anything is fetched, by the indexes alone ([`check`]). Small files that share their chunks with other
//! neighbours in two layers may still be equal, which only their bytes can tell: then it is asked once more when these are
//! here, before the flip ([`settle`]). The layers that stay are read page by page, so memory does not grow with what is installed.

use crate::active::{MountedPages, StoredPages, page_hashes};
use crate::content::{Reader, Readers, Stopped};
use crate::policy;
use crate::pull::Job;
use crate::target::Target;
use plyos_layer_format::entry::Entry;
use plyos_layer_format::index::Index;
use plyos_layer_format::pages::{Page, PageHashes, PageSource, SlicePages};
use plyos_namespace::conflicts::{Conflicts, FileClaim, Why};
use plyos_namespace::generation::GenerationLayer;
use plyos_namespace::namespace::{Namespace, NamespaceError, NamespaceLayer};
use plyos_report::{ExitCode, Failure, OrFail, print_json};
use plyos_storefile::{Store, Writer};
use serde_json::json;
use std::sync::Arc;

/// Pages of a layer that is installed, or of one that was just fetched.
pub enum Pages<'a> {
    /// In the store.
    Stored(MountedPages),
    /// In memory.
    Fetched(SlicePages<'a>),
}

impl PageSource for Pages<'_> {
    type Error = String;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), String> {
        match self {
            Self::Stored(stored) => stored.read_page(page, out).map_err(|error| error.to_string()),
            Self::Fetched(slice) => slice.read_page(page, out).map_err(|error| error.to_string()),
        }
    }
}

/// What is left to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The layers can stand side by side.
    Settled,
    /// They can if some small files are equal.
    NeedsContent,
}

/// The namespace as it would be: the layers that stay, and new ones as they were fetched.
fn namespace<'a>(
    target: &Target,
    store: &Store,
    jobs: &'a [Job],
    kept: &[GenerationLayer],
) -> Result<Namespace<Pages<'a>>, Failure> {
    let mut layers = Vec::with_capacity(jobs.len() + kept.len());
    for layer in kept {
        let stored =
            store.mounted_layer(&layer.id).map_err(|error| target.fail(&error))?.ok_or_else(|| {
                Failure::new(ExitCode::Store, format!("{} {} is not in the store", layer.name, layer.version))
            })?;
        let hashes = page_hashes(&stored)?;
        let pages = Pages::Stored(StoredPages(Arc::new(stored)));
        let index = Index::open(layer.id, hashes, pages)
            .or_fail(ExitCode::Store, format_args!("opening {} {}", layer.name, layer.version))?;
        layers.push(NamespaceLayer::new(index));
    }
    for candidate in jobs.iter().map(|job| &job.candidate) {
        let pages = Pages::Fetched(SlicePages(&candidate.index));
        let index = Index::open(candidate.manifest.layer, PageHashes::compute(&candidate.index), pages)
            .or_fail(ExitCode::Signature, format_args!("opening {}", candidate.what))?;
        layers.push(NamespaceLayer::new(index));
    }
    Ok(Namespace::new(layers))
}

/// Checks the whole namespace before anything of it is fetched, and that it can read the machine's state.
pub fn check(
    target: &Target,
    writer: &Writer,
    jobs: &[Job],
    kept: &[GenerationLayer],
) -> Result<Verdict, Failure> {
    let namespace = namespace(target, writer, jobs, kept)?;
    policy::check_state(writer, namespace.layers().iter().map(|layer| layer.index.descriptor()))?;
    let mut verdict = Verdict::Settled;
    let found = namespace
        .conflicts(|_: FileClaim<'_>, _: FileClaim<'_>| {
            verdict = Verdict::NeedsContent;
            Ok::<_, NamespaceError>(true)
        })
        .or_fail(ExitCode::Store, "comparing the paths of the layers")?;
    refuse(target, &found)?;
    warn(target, &found);
    Ok(verdict)
}

/// Checks it again with the bytes, which are all in the store now.
pub fn settle(
    target: &Target,
    writer: &Writer,
    jobs: &[Job],
    kept: &[GenerationLayer],
) -> Result<(), Failure> {
    let namespace = namespace(target, writer, jobs, kept)?;
    let mut readers = Readers::default();
    let found = namespace.conflicts(|a: FileClaim<'_>, b: FileClaim<'_>| {
        let a = content(target, writer, &namespace, &mut readers, a)?;
        Ok::<_, Stopped>(a == content(target, writer, &namespace, &mut readers, b)?)
    })?;
    refuse(target, &found)
}

/// Bytes of a small file of a layer that is in the store.
fn content<'a>(
    target: &Target,
    store: &'a Store,
    namespace: &'a Namespace<Pages<'a>>,
    readers: &mut Readers<'a, Pages<'a>>,
    claim: FileClaim<'_>,
) -> Result<Vec<u8>, Failure> {
    let defect = || Failure::new(ExitCode::Failure, "a layer was lost; this is a defect of pkg");
    let layer = namespace.layers().get(claim.layer).ok_or_else(defect)?;
    let reader = readers.of(claim.layer, || {
        let id = layer.index.id();
        let stored = store.mounted_layer(&id).map_err(|error| target.fail(&error))?.ok_or_else(defect)?;
        Ok(Reader::new(store, Arc::new(stored), &layer.index))
    })?;
    let first =
        layer.first_path(claim.entry).or_fail(ExitCode::Store, "comparing the files of the layers")?;
    let entry: &Entry = first.as_ref().unwrap_or(claim.entry);
    let path = String::from_utf8_lossy(&claim.entry.path);
    reader.whole(entry).or_fail(ExitCode::Store, format_args!("reading /{path} of {}", layer.info.name))
}

/// Refuses layers that claim one path, by name: one line, and on stdout the list when there are several.
fn refuse(target: &Target, found: &Conflicts) -> Result<(), Failure> {
    let Some(first) = found.listed.first() else { return Ok(()) };
    if target.progress.json() {
        let rows = found.listed.iter().map(|conflict| {
            let why = match conflict.why {
                Why::TwoFiles => "two files",
                Why::DirectoryAgainstFile => "directory against file",
                Why::Circle => "circle",
            };
            json!({"path": format!("/{}", String::from_utf8_lossy(&conflict.path)),
                   "layers": [conflict.first, conflict.second], "why": why})
        });
        print_json(&json!({"conflicts": rows.collect::<Vec<_>>(), "total": found.total}));
    } else if found.total > 1 {
        found.listed.iter().for_each(|conflict| target.progress.step(&format!("  ! {conflict}")));
        if let Some(more @ 1..) = found.total.checked_sub(found.listed.len() as u64) {
            target.progress.step(&format!("  ! and {more} more"));
        }
    }
    let more = match found.total {
        1 => String::new(),
        total => format!(" (and {} more paths)", total - 1),
    };
    Err(Failure::new(ExitCode::Conflict, format!("{first}{more}; nothing was changed")))
}

/// Says where layers describe a directory differently; it merges all the same.
fn warn(target: &Target, found: &Conflicts) {
    let Some(first) = found.differing.first() else { return };
    let more = match found.differing_total {
        1 => String::new(),
        total => format!(" (and {} more directories)", total - 1),
    };
    target.progress.warn(&format!("{first}{more}"));
}
