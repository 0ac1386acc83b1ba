//! `pkg verify`: everything that the store's directory reaches is read and hashed again.
//!
//! Both superblock copies, every record, index and map, and every chunk that is present; a chunk that several layers share
//! is read once. Chunks are looked at in windows over all cores, so that memory is bounded by a window and a note of some 50
//! bytes for each distinct chunk. What the device cannot read counts as damaged.

mod cursor;
mod show;

use crate::active::{StoredPages, page_hashes};
use crate::target::Target;
use cursor::Cursor;
use plyos_ids::LayerId;
use plyos_layer_format::entry::EntryKind;
use plyos_layer_format::index::{Chunk, Index, IndexError};
use plyos_layer_format::pages::{PAGE_SIZE, PageSource};
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_plan::resolve::split_name;
use plyos_report::{ExitCode, Failure};
use plyos_storefile::{ChunkCheck, Defect, LayerEntry, Place, RecordEntry, RecordType, Store, StoredLayer};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZero;
use std::path::Path;
use std::rc::Rc;

/// Chunks that are looked at between two notes of the position: at most 1 GiB, seldom more than 100 MiB.
const WINDOW: usize = 1024;

/// A chunk that is damaged, and where it stands in its layer.
pub struct DamagedChunk {
    /// Its number in the index.
    pub ordinal: u64,
    /// Where its bytes begin in the layer's stream.
    pub start: u64,
    /// What it should be.
    pub check: ChunkCheck,
    /// What is wrong with it.
    pub defect: Defect,
}

/// What is damaged of a layer.
pub struct LayerDamage {
    /// The layer in the directory.
    pub entry: LayerEntry,
    /// What the newest generation that names it says of it.
    pub listed: Option<GenerationLayer>,
    /// The index.
    pub index: Option<Defect>,
    /// Pages of the index that are damaged, as far as the map tells.
    pub pages: Vec<u32>,
    /// The map.
    pub map: Option<Defect>,
    /// Chunks; not looked at when index or map are damaged.
    pub chunks: Vec<DamagedChunk>,
    /// Files whose content lies in those chunks, as the namespace spells them.
    pub files: BTreeSet<String>,
}

impl LayerDamage {
    fn is_clean(&self) -> bool {
        self.index.is_none() && self.map.is_none() && self.chunks.is_empty()
    }

    /// `KIND/NAME VERSION`, or its identity when no generation names it.
    pub fn what(&self) -> String {
        match &self.listed {
            Some(layer) => format!("{}/{} {}", layer.kind, layer.name, layer.version),
            None => self.entry.id.to_string(),
        }
    }
}

/// What was found.
#[derive(Default)]
pub struct Report {
    /// The superblock copy that is damaged, and how.
    pub copy: Option<(usize, String)>,
    /// Records that are damaged.
    pub records: Vec<(RecordEntry, Defect)>,
    /// Layers of which something is damaged.
    pub layers: Vec<LayerDamage>,
    checked: Checked,
}

#[derive(Default)]
struct Checked {
    records: u64,
    layers: u64,
    chunks: u64,
    /// Chunks that an earlier run had found clean.
    resumed: u64,
}

impl Report {
    /// Whether nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.copy.is_none() && self.records.is_empty() && self.layers.is_empty()
    }

    /// Leaves out what the store does not name any more: it was taken away while it was looked at.
    pub fn forget_gone(&mut self, store: &Store) {
        self.layers.retain(|layer| store.still_holds_layer(&layer.entry));
        self.records.retain(|(entry, _)| store.still_holds_record(entry));
    }
}

/// `pkg verify`
pub fn verify(target: &Target, names: &[String], resume: Option<&Path>) -> Result<(), Failure> {
    let mut store = target.store()?;
    let mut cursor = resume.map(|path| Cursor::open(path, &store)).transpose()?;
    let mut report = scan(target, &store, names, cursor.as_mut())?;
    if !report.is_clean() {
        store.refresh().map_err(|error| target.fail(&error))?;
        report.forget_gone(&store);
    }
    if let Some(cursor) = cursor {
        cursor.finish()?;
    }
    show::report(target, &report)
}

/// Looks at everything, or at the layers of these names.
pub fn scan(
    target: &Target,
    store: &Store,
    names: &[String],
    cursor: Option<&mut Cursor>,
) -> Result<Report, Failure> {
    let mut report = Report::default();
    if names.is_empty() {
        report.copy = store.damaged_copy().map(|(number, defect)| (number, defect.to_string()));
        for record_type in RecordType::ALL {
            for entry in store.records(record_type) {
                report.checked.records += 1;
                if let Err(defect) = store.verify_record(entry) {
                    report.records.push((*entry, defect));
                }
            }
        }
    }
    let listed = listed_layers(store);
    let wanted = wanted(store, &listed, names)?;
    let bar = target.progress.bytes("verifying", wanted.iter().map(|entry| bytes_of(store, entry)).sum());
    let advance = |bytes| bar.inc(bytes);
    let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let mut scan =
        Scan { store, threads, advance: &advance, seen: HashSet::new(), bad: HashMap::new(), cursor };
    for entry in wanted {
        report.checked.layers += 1;
        let named = listed.get(&entry.id).cloned();
        bar.set_message(named.as_ref().map_or_else(|| entry.id.to_string(), |layer| layer.name.clone()));
        let damage = scan.layer(&entry, named, &mut report.checked)?;
        if !damage.is_clean() {
            report.layers.push(damage);
        }
    }
    bar.finish_and_clear();
    Ok(report)
}

/// What the newest readable generation says of each layer.
pub fn listed_layers(store: &Store) -> BTreeMap<LayerId, GenerationLayer> {
    let mut found: BTreeMap<LayerId, (u64, GenerationLayer)> = BTreeMap::new();
    for generation in generations(store) {
        for layer in &generation.layers {
            let newest = found.get(&layer.id).is_none_or(|(number, _)| *number < generation.number);
            if newest {
                found.insert(layer.id, (generation.number, layer.clone()));
            }
        }
    }
    found.into_iter().map(|(id, (_, layer))| (id, layer)).collect()
}

/// Every generation that can be read.
pub fn generations(store: &Store) -> impl Iterator<Item = Generation> {
    let keys: Vec<_> = store.records(RecordType::Generation).map(|entry| entry.key).collect();
    keys.into_iter().filter_map(|key| {
        let bytes = store.record(RecordType::Generation, &key).ok()??;
        Generation::parse(&bytes).ok()
    })
}

/// The layers that names or identities stand for; all without any.
fn wanted(
    store: &Store,
    listed: &BTreeMap<LayerId, GenerationLayer>,
    names: &[String],
) -> Result<Vec<LayerEntry>, Failure> {
    if names.is_empty() {
        return Ok(store.layers().copied().collect());
    }
    let mut found = BTreeMap::new();
    for name in names {
        let (kind, bare) = split_name(name);
        let is_it = |entry: &&LayerEntry| {
            let listed = listed.get(&entry.id);
            listed.is_some_and(|layer| layer.name == bare && kind.is_none_or(|kind| kind == layer.kind))
                || entry.id.to_string() == *name
                || entry.id.to_hex() == *name
        };
        let before = found.len();
        found.extend(store.layers().filter(is_it).map(|entry| (entry.id, *entry)));
        if found.len() == before {
            let line = format!("the store has no layer '{name}'; `pkg list` shows what is installed");
            return Err(Failure::new(ExitCode::NotFound, line));
        }
    }
    Ok(found.into_values().collect())
}

/// Bytes that are read to look at a layer, for the bar.
fn bytes_of(store: &Store, entry: &LayerEntry) -> u64 {
    let chunks = store
        .verify_map(entry)
        .map_or(0, |stored| stored.places().iter().flatten().map(|place| u64::from(place.length)).sum());
    entry.index.len + chunks
}

/// A chunk of a layer on its way through a window.
struct Item {
    ordinal: u64,
    start: u64,
    check: ChunkCheck,
}

/// A stored chunk, whichever layers name it. Half of the identity keeps the note small.
type Key = (Place, [u8; 16]);

fn key(check: &ChunkCheck) -> Key {
    let half = check.id.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
    (check.place, half)
}

/// A verification under way.
struct Scan<'a> {
    store: &'a Store,
    threads: NonZero<usize>,
    advance: &'a (dyn Fn(u64) + Sync),
    seen: HashSet<Key>,
    bad: HashMap<Key, Defect>,
    cursor: Option<&'a mut Cursor>,
}

impl Scan<'_> {
    fn layer(
        &mut self,
        entry: &LayerEntry,
        listed: Option<GenerationLayer>,
        checked: &mut Checked,
    ) -> Result<LayerDamage, Failure> {
        let index = self.store.verify_index(entry).err();
        (self.advance)(entry.index.len);
        let (map, stored) = match self.store.verify_map(entry) {
            Ok(stored) => (None, Some(Rc::new(stored))),
            Err(defect) => (Some(defect), None),
        };
        let mut damage = LayerDamage {
            entry: *entry,
            listed,
            index,
            pages: Vec::new(),
            map,
            chunks: Vec::new(),
            files: BTreeSet::new(),
        };
        let Some(stored) = stored else { return Ok(damage) };
        if damage.index.is_some() {
            damage.pages = damaged_pages(&stored);
            return Ok(damage);
        }
        let opened = page_hashes(&stored).map_err(|failure| failure.message).and_then(|hashes| {
            Index::open(entry.id, hashes, StoredPages(Rc::clone(&stored))).map_err(|error| error.to_string())
        });
        let opened = match opened {
            Ok(opened) if opened.chunk_count() == stored.places().len() as u64 => opened,
            Ok(_) => {
                damage.map = Some(Defect::Wrong("it has another number of chunks than the index".into()));
                return Ok(damage);
            }
            Err(why) => {
                // The index itself was hashed above, so the hashes of its pages are what differs.
                damage.map = Some(Defect::Wrong(why));
                return Ok(damage);
            }
        };
        if let Err(error) = self.chunks(&opened, &stored, &mut damage, checked)? {
            damage.index = Some(Defect::Wrong(error.to_string()));
            return Ok(damage);
        }
        if !damage.chunks.is_empty() {
            damage.files = files(&opened, &damage);
        }
        Ok(damage)
    }

    /// Looks at the chunks of a layer, window after window. The inner error: a page of the index could not be read again.
    fn chunks(
        &mut self,
        index: &Index<StoredPages>,
        stored: &StoredLayer,
        damage: &mut LayerDamage,
        checked: &mut Checked,
    ) -> Result<Result<(), IndexError>, Failure> {
        let resumed = self.cursor.as_ref().map_or(0, |cursor| cursor.clean(&damage.entry));
        let mut window = Vec::with_capacity(WINDOW);
        let mut start = 0;
        for ((ordinal, chunk), place) in (0u64..).zip(index.chunks()).zip(stored.places()) {
            let Chunk { id, length } = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Err(error)),
            };
            if let Some(place) = *place {
                let check = ChunkCheck { id, length, place };
                if ordinal < resumed {
                    self.seen.insert(key(&check));
                    checked.resumed += 1;
                    (self.advance)(u64::from(place.length));
                } else {
                    checked.chunks += 1;
                    window.push(Item { ordinal, start, check });
                }
            }
            start += u64::from(length);
            if window.len() == WINDOW {
                self.window(&window, damage);
                window.clear();
                self.note(damage, ordinal + 1)?;
            }
        }
        self.window(&window, damage);
        self.note(damage, index.chunk_count())?;
        Ok(Ok(()))
    }

    fn window(&mut self, window: &[Item], damage: &mut LayerDamage) {
        let mut checks = Vec::with_capacity(window.len());
        for item in window {
            if self.seen.insert(key(&item.check)) {
                checks.push(item.check);
            } else {
                (self.advance)(u64::from(item.check.place.length));
            }
        }
        for (at, defect) in self.store.verify_chunks(&checks, self.threads, self.advance) {
            self.bad.extend(checks.get(at).map(|check| (key(check), defect)));
        }
        if self.bad.is_empty() {
            return;
        }
        for Item { ordinal, start, check } in window {
            if let Some(defect) = self.bad.get(&key(check)) {
                let (ordinal, start, check, defect) = (*ordinal, *start, *check, defect.clone());
                damage.chunks.push(DamagedChunk { ordinal, start, check, defect });
            }
        }
    }

    /// Notes how much of the layer is clean.
    fn note(&mut self, damage: &LayerDamage, done: u64) -> Result<(), Failure> {
        let clean = damage.chunks.first().map_or(done, |chunk| chunk.ordinal);
        match &mut self.cursor {
            Some(cursor) => cursor.advance(&damage.entry, clean),
            None => Ok(()),
        }
    }
}

/// The pages of a damaged index that are damaged, when the map's hashes are those of its layer.
fn damaged_pages(stored: &Rc<StoredLayer>) -> Vec<u32> {
    let Ok(hashes) = page_hashes(stored) else { return Vec::new() };
    if !hashes.verify_root(hashes.page_count(), &stored.id) {
        return Vec::new();
    }
    let pages = StoredPages(Rc::clone(stored));
    let mut bytes = [0; PAGE_SIZE];
    let mut is_damaged =
        |page: &u32| pages.read_page(*page, &mut bytes).is_err() || !hashes.check(*page, &bytes, &stored.id);
    (0..hashes.page_count()).filter(|page| is_damaged(page)).collect()
}

/// Files, hard links included, whose content lies in damaged chunks.
fn files(index: &Index<StoredPages>, damage: &LayerDamage) -> BTreeSet<String> {
    let prefix = damage.listed.as_ref().map_or("", |layer| layer.mount.path.trim_end_matches('/'));
    let mut hit = HashSet::new();
    let mut found = BTreeSet::new();
    // Entries were checked when the layer came in, and hashed just now; one that does not read ends the list.
    for (ordinal, entry) in (0u64..).zip(index.entries().map_while(Result::ok)) {
        let is_hit = match entry.kind {
            EntryKind::File { size, data_offset, .. } => {
                // Chunks are in order of the stream: the last one that begins before the file's end is the one to look at.
                let end = data_offset.saturating_add(size);
                let before = damage.chunks.partition_point(|chunk| chunk.start < end);
                let last = before.checked_sub(1).and_then(|at| damage.chunks.get(at));
                size > 0
                    && last.is_some_and(|chunk| chunk.start + u64::from(chunk.check.length) > data_offset)
            }
            EntryKind::HardLink { target } => hit.contains(&target),
            _ => false,
        };
        if is_hit {
            hit.insert(ordinal);
            found.insert(format!("{prefix}/{}", String::from_utf8_lossy(&entry.path)));
        }
    }
    found
}
