//! A verification under way: every record and layer once, chunks in windows over all cores.

use super::cursor::Cursor;
use super::naming::{damaged_pages, files};
use super::{Checked, DamagedChunk, Disagreement, LayerDamage, Report, listed_layers};
use crate::active::{StoredPages, page_hashes};
use crate::target::Target;
use plyos_ids::LayerId;
use plyos_layer_build::reader::AgreeError;
use plyos_layer_format::agreement::{Difference, Expected, expectations};
use plyos_layer_format::index::{Chunk, Index, IndexError};
use plyos_namespace::generation::GenerationLayer;
use plyos_plan::resolve::split_name;
use plyos_report::{ExitCode, Failure};
use plyos_storefile::{ChunkCheck, Defect, LayerEntry, Place, RecordType, Store, StoredLayer};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

/// Chunks that are looked at between two notes of the position: at most 1 GiB, seldom more than 100 MiB.
const WINDOW: usize = 1024;
/// Bytes of headers to be compared with, after which a window is looked at: a layer of empty files is nothing else.
const WINDOW_HEADERS: usize = 16 << 20;

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
        let mut damage = scan.layer(&entry, named, &mut report.checked)?;
        if let Some((_, why)) = damage.disagreement.take() {
            report.disagreements.push(Disagreement { layer: entry.id, what: damage.what(), why });
        }
        if !damage.is_clean() {
            report.layers.push(damage);
        }
    }
    bar.finish_and_clear();
    Ok(report)
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
    start: u64,
    check: ChunkCheck,
    expected: Expected,
    key: Key,
}

impl Item {
    fn new(start: u64, place: Place, expected: Expected) -> Self {
        let Chunk { id, length } = expected.chunk;
        let half = expected.fingerprint().first_chunk::<16>().copied().unwrap_or_default();
        Self { start, check: ChunkCheck { id, length, place }, expected, key: (place, half) }
    }
}

/// A stored chunk with what must stand in it, whichever layers name it. Half of the fingerprint keeps the note small.
type Key = (Place, [u8; 16]);

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
            Ok(stored) => (None, Some(Arc::new(stored))),
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
            disagreement: None,
        };
        let Some(stored) = stored else { return Ok(damage) };
        if damage.index.is_some() {
            damage.pages = damaged_pages(&stored);
            return Ok(damage);
        }
        let opened = page_hashes(&stored).map_err(|failure| failure.message).and_then(|hashes| {
            Index::open(entry.id, hashes, StoredPages(Arc::clone(&stored))).map_err(|error| error.to_string())
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
        // A generation needs every chunk of its layers; a broken download, which none names, has holes by nature.
        let absent = stored.places().iter().filter(|place| place.is_none()).count();
        if absent > 0 && damage.listed.is_some() {
            damage.map =
                Some(Defect::Wrong(format!("{absent} of {} chunks are not here", stored.places().len())));
            return Ok(damage);
        }
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
        let (mut start, mut headers) = (0, 0);
        for (expected, place) in expectations(index).zip(stored.places()) {
            let expected = match expected {
                Ok(expected) => expected,
                Err(error) => return Ok(Err(error)),
            };
            let (ordinal, length) = (expected.ordinal, expected.chunk.length);
            if let Some(place) = *place {
                headers += expected.held();
                let item = Item::new(start, place, expected);
                if ordinal < resumed {
                    self.seen.insert(item.key);
                    checked.resumed += 1;
                    (self.advance)(u64::from(place.length));
                } else {
                    checked.chunks += 1;
                    window.push(item);
                }
            }
            start += u64::from(length);
            if window.len() == WINDOW || headers > WINDOW_HEADERS {
                self.window(index, &window, damage);
                window.clear();
                headers = 0;
                self.note(damage, ordinal + 1)?;
            }
        }
        self.window(index, &window, damage);
        self.note(damage, index.chunk_count())?;
        Ok(Ok(()))
    }

    fn window(&mut self, index: &Index<StoredPages>, window: &[Item], damage: &mut LayerDamage) {
        let (mut items, mut checks) = (Vec::new(), Vec::new());
        for item in window {
            if self.seen.insert(item.key) {
                items.push(item);
                checks.push(item.check);
            } else {
                (self.advance)(u64::from(item.check.place.length));
            }
        }
        let differing: Mutex<Vec<(&Item, Difference)>> = Mutex::new(Vec::new());
        let look = |at: usize, bytes: &[u8]| {
            if let Some(item) = items.get(at)
                && let Err(difference) = item.expected.check(bytes)
            {
                differing.lock().unwrap_or_else(PoisonError::into_inner).push((item, difference));
            }
        };
        for (at, defect) in self.store.look_at_chunks(&checks, self.threads, self.advance, &look) {
            self.bad.extend(items.get(at).map(|item| (item.key, defect)));
        }
        let mut differing = differing.into_inner().unwrap_or_else(PoisonError::into_inner);
        differing.sort_by_key(|(_, difference)| difference.offset);
        for (item, difference) in differing {
            // Another layer that has this chunk must hear of it too.
            self.seen.remove(&item.key);
            damage.disagreement.get_or_insert_with(|| {
                (item.expected.ordinal, AgreeError::of(index, difference).to_string())
            });
        }
        if self.bad.is_empty() {
            return;
        }
        for Item { start, check, expected, key } in window {
            if let Some(defect) = self.bad.get(key) {
                let (ordinal, start, check, defect) = (expected.ordinal, *start, *check, defect.clone());
                damage.chunks.push(DamagedChunk { ordinal, start, check, defect });
            }
        }
    }

    /// Notes how much of the layer is clean.
    fn note(&mut self, damage: &LayerDamage, done: u64) -> Result<(), Failure> {
        let damaged = damage.chunks.first().map(|chunk| chunk.ordinal);
        let differing = damage.disagreement.as_ref().map(|(ordinal, _)| *ordinal);
        let clean = damaged.into_iter().chain(differing).fold(done, u64::min);
        match &mut self.cursor {
            Some(cursor) => cursor.advance(&damage.entry, clean),
            None => Ok(()),
        }
    }
}
