//! The namespace of 100 layers of 10,000 files each: opening it, finding conflicts, looking up, listing.

use super::{medians, met, milliseconds, nanoseconds};
use crate::aside;
use crate::report::{Section, Table};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use plyos_ids::{ChunkId, Kind};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::index::{self, Chunk, Index, IndexInput, MtimeRule};
use plyos_layer_format::pages::{PAGE_SIZE, Page, PageHashes, PageSource};
use plyos_layer_format::stream::{self, EPOCH};
use plyos_namespace::conflicts::Conflicts;
use plyos_namespace::namespace::{Namespace, NamespaceError, NamespaceLayer};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LAYERS: usize = 100;
const FOLDERS: usize = 100;
/// In each folder of each layer.
const FILES: usize = 100;
/// Bytes of each file.
const SIZE: usize = 100;
/// Lookups that are timed together.
const LOOKUPS: usize = 50;
/// Runs in each round of `ROUNDS`.
const RUNS: usize = 3;
const CONFLICTS_BAR: Duration = Duration::from_secs(1);

/// How the layers stand to each other.
const SHAPES: [(&str, &str); 3] = [
    ("apart", "each layer has folders of its own"),
    ("among", "the files of all layers lie in the same 100 folders, no two with one name"),
    ("equal", "all layers have the same files with the same bytes"),
];

const STEPS: [&str; 6] = [
    "opening: heads of 100 indexes",
    "finding all conflicts",
    "a lookup",
    "a lookup, pages kept",
    "listing a folder",
    "listing the rest of it from its middle",
];

/// What the merged tree costs, as a library over indexes in memory.
pub fn measure(settings: &Settings, _work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Namespace",
        "100 packages of 10,000 files each, a million paths, as a library; the indexes lie in memory, and every page is \
         hashed when it is read, as it is when it comes from a store (*pages kept*: hashed once, and held). Conflicts are \
         looked for over all paths; what only one layer has is not read. A lookup or listing asks each layer that has the \
         folder. Medians. Bar: conflicts in 1 s.",
    );
    let headings = std::iter::once("").chain(SHAPES.map(|(name, _)| name)).chain(["bar"]);
    let mut table = Table::new(headings.map(str::to_owned).collect());
    let count = (settings.rounds * RUNS).to_string();
    let mut columns = Vec::new();
    for (shape, _) in SHAPES {
        let runs = aside::start("namespace", &[shape.as_ref(), count.as_ref()])?;
        columns.push((0..STEPS.len()).map(|step| medians(&runs, step)).collect::<Result<Vec<_>>>()?);
    }
    for (step, name) in STEPS.iter().enumerate() {
        let times: Vec<Duration> = columns
            .iter()
            .filter_map(|column| column.get(step))
            .map(|ns| Duration::from_nanos(*ns))
            .collect();
        let mut row = vec![(*name).to_owned()];
        row.extend(times.iter().map(|time| shown(*time)));
        let is_conflicts = step == 1;
        let bar =
            format!("{}, {}", milliseconds(CONFLICTS_BAR), met(times.iter().all(|t| *t < CONFLICTS_BAR)));
        row.push(if is_conflicts { bar } else { String::new() });
        table.add(row);
    }
    let legend = SHAPES.map(|(name, meaning)| format!("{name}: {meaning}")).join("; ");
    section.add(legend, table);
    Ok(section)
}

/// Short times in microseconds, with how often a second holds them.
fn shown(time: Duration) -> String {
    if time >= Duration::from_millis(1) {
        return milliseconds(time);
    }
    format!("{:.0} µs ({:.0} a second)", time.as_secs_f64() * 1e6, 1.0 / time.as_secs_f64().max(1e-9))
}

/// Times of each step, `count` times over, in nanoseconds.
pub fn trials(shape: &str, count: usize) -> Result<Value> {
    let layers = (0..LAYERS).map(|number| layer(shape, number)).collect::<Result<Vec<_>>>()?;
    let runs = (0..count).map(|_| trial(shape, &layers).map(|steps| json!(steps.map(nanoseconds))));
    runs.collect::<Result<Vec<_>>>().map(Value::Array)
}

fn trial(shape: &str, layers: &[Made]) -> Result<[Duration; 6]> {
    let begin = Instant::now();
    let namespace = open(layers, false)?;
    let opening = begin.elapsed();

    let begin = Instant::now();
    let found: Conflicts = namespace.conflicts(|_, _| Ok::<_, NamespaceError>(false))?;
    let conflicts = begin.elapsed();
    if !found.is_empty() {
        bail!("{} conflicts where there are none", found.total);
    }

    let lookup = lookups(&namespace, shape, LOOKUPS)?;
    let kept = open(layers, true)?;
    lookups(&kept, shape, LOOKUPS)?;
    let lookup_kept = lookups(&kept, shape, LOOKUPS)?;

    let folder = namespace.lookup(folder(shape, 7, 50).as_bytes())?.context("a folder is missing")?;
    let begin = Instant::now();
    let names = namespace
        .children(&folder)?
        .map(|child| child.map(|child| child.entry.name().to_vec()))
        .collect::<Result<Vec<_>, _>>()?;
    let listing = begin.elapsed();
    let middle = names.get(names.len() / 2).context("an empty folder")?;
    let begin = Instant::now();
    let rest = namespace.children_after(&folder, middle)?.count();
    let resumed = begin.elapsed();
    if rest + names.len() / 2 + 1 != names.len() {
        bail!("the rest of a folder of {} has {rest}", names.len());
    }
    Ok([opening, conflicts, lookup, lookup_kept, listing, resumed])
}

/// The time of one lookup out of `count`, all over the tree.
fn lookups<S: PageSource>(namespace: &Namespace<S>, shape: &str, count: usize) -> Result<Duration> {
    let begin = Instant::now();
    for number in 0..count {
        // Steps that share no divisor with the counts reach all layers and folders.
        let (layer, at) = (number * 37 % LAYERS, number * 61 % FOLDERS);
        let path = format!("{}/{}", folder(shape, layer, at), file(shape, layer, number % FILES));
        namespace.lookup(path.as_bytes())?.with_context(|| format!("{path} is missing"))?;
    }
    Ok(begin.elapsed() / u32::try_from(count)?)
}

fn folder(shape: &str, layer: usize, folder: usize) -> String {
    match shape {
        "apart" => format!("usr/share/doc/layer-{layer:03}/{folder:03}"),
        _ => format!("usr/share/doc/shared/{folder:03}"),
    }
}

fn file(shape: &str, layer: usize, file: usize) -> String {
    match shape {
        "equal" => format!("some-file-{file:04}.txt"),
        _ => format!("some-file-{file:04}.{layer:03}.txt"),
    }
}

/// An index, with the list of its pages' hashes as a store keeps it.
struct Made {
    index: Vec<u8>,
    hashes: PageHashes,
}

/// Pages of an index in memory; perhaps they are held once they were hashed.
struct Pages<'a> {
    index: &'a [u8],
    kept: Option<RefCell<HashMap<u32, Arc<Page>>>>,
}

impl PageSource for Pages<'_> {
    type Error = &'static str;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), &'static str> {
        let pages = self.index.as_chunks::<PAGE_SIZE>().0;
        *out = *pages.get(page as usize).ok_or("beyond the end of the index")?;
        Ok(())
    }

    fn kept(&self, page: u32) -> Option<Arc<Page>> {
        self.kept.as_ref().and_then(|kept| kept.borrow().get(&page).cloned())
    }

    fn keep(&self, page: u32, bytes: &Arc<Page>) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().insert(page, Arc::clone(bytes));
        }
    }
}

fn open(layers: &[Made], keep: bool) -> Result<Namespace<Pages<'_>>> {
    let mut opened = Vec::with_capacity(layers.len());
    for Made { index, hashes } in layers {
        let source = Pages { index, kept: keep.then(RefCell::default) };
        let id = hashes.root().context("an index of one page")?;
        opened.push(NamespaceLayer::new(Index::open(id, hashes.clone(), source)?));
    }
    Ok(Namespace::new(opened))
}

/// A package's index: `FOLDERS` folders of `FILES` files.
fn layer(shape: &str, number: usize) -> Result<Made> {
    let above = folder(shape, number, 0);
    let above = above.rsplit_once('/').context("a folder with nothing above")?.0;
    let tops: Vec<String> = above
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([above.len()])
        .map(|end| above.get(..end).unwrap_or_default().to_owned())
        .collect();
    let below = (FOLDERS * (FILES + 1)) as u64;
    let mut entries =
        vec![entry(String::new(), EntryKind::Directory { descendants: below + tops.len() as u64 })];
    for (left, top) in (0..tops.len() as u64).rev().zip(tops) {
        entries.push(entry(top, EntryKind::Directory { descendants: below + left }));
    }
    for at in 0..FOLDERS {
        let folder = folder(shape, number, at);
        entries.push(entry(folder.clone(), EntryKind::Directory { descendants: FILES as u64 }));
        for file_number in 0..FILES {
            let path = format!("{folder}/{}", file(shape, number, file_number));
            entries.push(entry(path, EntryKind::File { size: SIZE as u64, data_offset: 0, links: 1 }));
        }
    }
    let (mut out, mut header_offsets) = (Vec::new(), Vec::new());
    for entry in &mut entries {
        header_offsets.push(out.len() as u64);
        if let EntryKind::File { data_offset, .. } = &mut entry.kind {
            *data_offset = (out.len() + stream::BLOCK) as u64;
        }
        out.extend_from_slice(&stream::header(entry, None));
        out.resize(out.len() + entry.size().next_multiple_of(stream::BLOCK as u64) as usize, 0);
    }
    out.extend_from_slice(&stream::END);
    let chunks = out.chunks(256 << 10).map(|chunk| Chunk {
        id: ChunkId::from_bytes(*blake3::hash(chunk).as_bytes()),
        length: chunk.len() as u32,
    });
    let input = IndexInput {
        descriptor: Descriptor::new(Kind::Package, &format!("layer-{number:03}"), "1", "any")?,
        entries,
        header_offsets,
        chunks: chunks.collect(),
        stream_len: out.len() as u64,
        mtime_rule: MtimeRule::Kept,
    };
    let index = index::emit(&input)?;
    let hashes = PageHashes::compute(&index);
    Ok(Made { index, hashes })
}

fn entry(path: String, kind: EntryKind) -> Entry {
    let mode = if matches!(kind, EntryKind::Directory { .. }) { 0o755 } else { 0o644 };
    Entry { path: path.into_bytes(), kind, mode, uid: 0, gid: 0, mtime: EPOCH, xattrs: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_layer_format::index::{Limits, check};

    #[test]
    fn layers_of_each_shape_pass_every_check() {
        for (shape, _) in SHAPES {
            let made = layer(shape, 3).unwrap();
            let checked = check(&made.index, &Limits::default()).unwrap();
            // The root and the four folders that lead to the others.
            assert_eq!(checked.entry_count(), 5 + (FOLDERS * (FILES + 1)) as u64);
            let path = format!("{}/{}", folder(shape, 3, 5), file(shape, 3, 99));
            assert!(checked.lookup(path.as_bytes()).unwrap().is_some(), "{path}");
        }
    }

    #[test]
    fn short_times_come_with_their_frequency() {
        assert_eq!(shown(Duration::from_micros(100)), "100 µs (10000 a second)");
        assert_eq!(shown(Duration::from_millis(20)), "20.0 ms");
    }
}
