//! Generations of fake layers, and what a store says of them.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::cell::Cell;

use plyos_ids::{Kind, Mount};
use plyos_kernel_logic::{CacheStatistics, Counts, GenerationInfo, Held};
use plyos_layer_format::{
    entry::{Entry, EntryKind},
    index::{Index, layer_id},
    pages::{PageHashes, SlicePages},
};
use plyos_namespace::{
    generation::{Generation, GenerationLayer, GenerationParts},
    namespace::{Namespace, NamespaceError, NamespaceLayer},
};
use plyos_slots::{Slot, SlotName, SlotState, Slots};

use super::layer::{FakeLayer, Node, layer};
use crate::system::{System, Tree};

pub(crate) struct FakeTree {
    generation: Generation,
    namespace: Namespace<SlicePages<'static>>,
    streams: Vec<Vec<u8>>,
    /// A file that cannot be read.
    pub(crate) damaged: Option<&'static [u8]>,
}

impl FakeTree {
    fn new(number: u64, layers: Vec<FakeLayer>) -> Self {
        let generation = Generation::new(GenerationParts {
            number,
            parent: 0,
            created_at: 1_700_000_000,
            state_version: 0,
            tries: 0,
            health: None,
            created_by: "install \x1b[2J".to_string(),
            layers: layers.iter().map(listed).collect(),
        });
        let open = |layer: &FakeLayer| {
            let index =
                Index::open(layer_id(layer.index), PageHashes::compute(layer.index), SlicePages(layer.index));
            NamespaceLayer::new(index.unwrap())
        };
        let namespace = Namespace::new(layers.iter().map(open).collect());
        let stream = |name: &str| layers.iter().find(|layer| layer.name == name).unwrap().stream.clone();
        let streams = namespace.layers().iter().map(|layer| stream(&layer.info.name)).collect();
        Self { generation: generation.unwrap(), namespace, streams, damaged: None }
    }
}

fn listed(layer: &FakeLayer) -> GenerationLayer {
    GenerationLayer {
        id: layer_id(layer.index),
        kind: layer.kind,
        mount: Mount::of(layer.kind, &layer.name),
        asked: true,
        unsigned: false,
        epoch: 0,
        name: layer.name.clone(),
        version: "1".to_string(),
        arch: "any".to_string(),
        repo: String::new(),
    }
}

impl Tree for FakeTree {
    type Pages = SlicePages<'static>;

    fn generation(&self) -> &Generation {
        &self.generation
    }

    fn namespace(&self) -> &Namespace<Self::Pages> {
        &self.namespace
    }

    fn told(&self, error: &NamespaceError) -> String {
        error.to_string()
    }

    fn read(&self, layer: usize, entry: &Entry, offset: u64, out: &mut [u8]) -> Result<usize, String> {
        if self.damaged.is_some_and(|path| entry.path == path) {
            return Err("cannot read /x: chunk 1 of base is not what it must be".to_string());
        }
        let first = self.namespace.layers()[layer].first_path(entry).unwrap();
        let EntryKind::File { size, data_offset, .. } = first.as_ref().unwrap_or(entry).kind else {
            return Err("no file".to_string());
        };
        let length = (size.saturating_sub(offset) as usize).min(out.len());
        let start = (data_offset + offset) as usize;
        out[..length].copy_from_slice(&self.streams[layer][start..start + length]);
        Ok(length)
    }
}

pub(crate) struct FakeSystem {
    pub(crate) trees: BTreeMap<u64, Arc<FakeTree>>,
    shown: Cell<u64>,
    /// The time of the last switch.
    pub(crate) switched_at: Cell<Option<u64>>,
}

/// The bytes of `/data/large`.
pub(crate) fn large() -> Vec<u8> {
    (0..300_000u32).map(|number| (number * 31 + number / 977) as u8).collect()
}

impl FakeSystem {
    /// Generation 1 with a base, generation 2 with a site.
    pub(crate) fn new() -> Self {
        let base = || {
            layer(
                Kind::Base,
                "plain",
                vec![
                    (b"bin", Node::Symlink(b"usr/bin".to_vec())),
                    (b"data", Node::Directory),
                    (b"data/empty", Node::File(Vec::new())),
                    (b"data/large", Node::File(large())),
                    (b"data/name of\n\xff", Node::Symlink(b"no where".to_vec())),
                    (b"data/second", Node::HardLink(b"data/large")),
                    (b"data/text", Node::File("one\ntw\u{f6}\x1b[2J".as_bytes().to_vec())),
                    (b"dev", Node::Directory),
                    (b"dev/null", Node::Device(1, 3)),
                    (b"dev/pipe", Node::Fifo),
                    (b"usr", Node::Directory),
                    (b"usr/bin", Node::Directory),
                    (b"usr/bin/sh", Node::File(b"#!\n".to_vec())),
                ],
            )
        };
        let site = layer(Kind::Site, "docs", vec![(b"index.html", Node::File(b"<h1>\n".to_vec()))]);
        let trees = [(1, vec![base()]), (2, vec![base(), site])];
        let trees = trees.map(|(number, layers)| (number, Arc::new(FakeTree::new(number, layers))));
        Self { trees: trees.into(), shown: Cell::new(1), switched_at: Cell::new(None) }
    }
}

/// A tree of a base with so many files in `/many`.
pub(crate) fn many(files: usize) -> Arc<FakeTree> {
    let names: Vec<String> = (0..files).map(|number| alloc::format!("many/{number}")).collect();
    let mut nodes: Vec<(&[u8], Node)> =
        names.iter().map(|name| (name.as_bytes(), Node::Symlink(b"x".to_vec()))).collect();
    nodes.push((b"many", Node::Directory));
    Arc::new(FakeTree::new(1, vec![layer(Kind::Base, "plain", nodes)]))
}

impl System for FakeSystem {
    type Tree = FakeTree;

    fn shown(&self) -> Arc<FakeTree> {
        self.trees[&self.shown.get()].clone()
    }

    fn slots(&self) -> Slots {
        let good = Slot { state: SlotState::Good, number: 1, changed_at: 50, ..Slot::EMPTY };
        let trial = Slot { state: SlotState::Trial { left: 2, granted: 3 }, number: 2, ..good };
        Slots { a: good, b: trial, preferred: Some(SlotName::A) }
    }

    fn generations(&self) -> Result<Vec<GenerationInfo>, String> {
        let info = |tree: &Arc<FakeTree>| GenerationInfo {
            number: tree.generation.number,
            id: tree.generation.id(),
            created_at: tree.generation.created_at,
            created_by: tree.generation.created_by.clone(),
            layers: tree.generation.layers.len(),
            slot: None,
            was_good: true,
            damage: None,
        };
        let damaged =
            GenerationInfo { number: 3, damage: Some("cut\n".to_string()), ..info(&self.trees[&1]) };
        Ok(self.trees.values().map(info).chain([damaged]).collect())
    }

    fn leases(&self) -> Vec<Held> {
        vec![Held { number: 1, who: "status page" }]
    }

    fn passed_over(&self) -> Vec<String> {
        vec!["slot B: generation 2 has no tries left".to_string()]
    }

    fn switch(&self, number: u64, now: u64) -> Result<(), String> {
        if !self.trees.contains_key(&number) {
            return Err(alloc::format!(
                "cannot switch to generation {number}: the store has none of this number"
            ));
        }
        self.shown.set(number);
        self.switched_at.set(Some(now));
        Ok(())
    }

    fn damage(&self) -> u64 {
        4
    }

    fn cache(&self) -> CacheStatistics {
        let counts = Counts { hits: 3, misses: 2, bytes: 2048, limit: 4096, ..Counts::default() };
        CacheStatistics { chunks: counts, pages: Counts::default() }
    }

    fn clear_cache(&self) {}
}
