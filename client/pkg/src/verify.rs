//! `pkg verify`: everything that the store's directory reaches is read and hashed again.
//!
//! Both superblock copies, every record, index and map, and every chunk that is present; a chunk that several layers share
//! is read once. Chunks are looked at in windows over all cores, so that memory is bounded by a window and a note of some 50
//! bytes for each distinct chunk. What the device cannot read counts as damaged.
//!
//! While a chunk is at hand, the tar headers in it are compared with what the index says (`plyos_layer_format::agreement`). Where
//! they differ the store is as its publisher signed it, and reads are what the index says; but other tools would see another
//! tree, so it is a failure too, and nothing that a repair could mend.

mod cursor;
mod naming;
mod scan;
mod show;

use crate::target::Target;
use cursor::Cursor;
use plyos_ids::LayerId;
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_report::Failure;
use plyos_storefile::{ChunkCheck, Defect, LayerEntry, RecordEntry, RecordType, Store};
pub use scan::scan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

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
    /// The chunk where index and tar stream first differ, and how; [`Report::disagreements`] takes it over. Not damage.
    disagreement: Option<(u64, String)>,
}

/// A layer whose index and tar stream differ: its publisher made it so.
pub struct Disagreement {
    /// Which.
    pub layer: LayerId,
    /// [`LayerDamage::what`] of it.
    pub what: String,
    /// Where.
    pub why: String,
}

impl LayerDamage {
    fn is_clean(&self) -> bool {
        self.index.is_none() && self.map.is_none() && self.chunks.is_empty()
    }

    /// Whether the device cannot read the map.
    pub fn has_unreadable_map(&self) -> bool {
        matches!(self.map, Some(Defect::Unreadable(_)))
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
    /// Layers whose index and tar stream differ.
    pub disagreements: Vec<Disagreement>,
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
    /// Whether nothing is damaged. What is not damaged may still disagree.
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
