//! A system in memory for tests: layers that are built from names and contents, and a machine that remembers nothing.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::{cell::Cell, time::Duration};

use plyos_ids::{ChunkId, Kind, Mount};
use plyos_kernel_logic::{CacheStatistics, Counts, GenerationInfo, Held, Level, Line};
use plyos_layer_format::{
    descriptor::Descriptor,
    entry::{Entry, EntryKind, Xattr, compare_paths},
    index::{Chunk, Index, IndexInput, MtimeRule, emit, layer_id},
    pages::{PageHashes, SlicePages},
    stream::{END, EPOCH, header, padding},
};
use plyos_namespace::{
    generation::{Generation, GenerationLayer, GenerationParts},
    namespace::{Namespace, NamespaceError, NamespaceLayer},
};
use plyos_slots::{Slot, SlotName, SlotState, Slots};

use crate::{
    Standing, Wish,
    console::Console,
    machine::{Disk, Machine, Memory, Network},
    screen::{Interrupted, Screen},
    system::{System, Tree},
};

/// What stands at a path of a fake layer.
pub(crate) enum Node {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    HardLink(&'static [u8]),
    Device(u32, u32),
    Fifo,
}

/// A layer: its open index over bytes that live as long as the tests, and its stream.
struct FakeLayer {
    kind: Kind,
    name: String,
    index: &'static [u8],
    stream: Vec<u8>,
}

fn layer(kind: Kind, name: &str, nodes: Vec<(&[u8], Node)>) -> FakeLayer {
    let mut nodes: Vec<(Vec<u8>, Node)> =
        nodes.into_iter().map(|(path, node)| (path.to_vec(), node)).collect();
    nodes.push((Vec::new(), Node::Directory));
    nodes.sort_by(|a, b| compare_paths(&a.0, &b.0));
    let paths: Vec<Vec<u8>> = nodes.iter().map(|(path, _)| path.clone()).collect();
    let (mut entries, mut header_offsets, mut stream) = (Vec::new(), Vec::new(), Vec::<u8>::new());
    for (path, node) in &nodes {
        let below = |other: &&Vec<u8>| {
            path.is_empty() && !other.is_empty()
                || other.strip_prefix(path.as_slice()).is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        let mut content: &[u8] = &[];
        let mut first = None;
        let mut xattrs = Vec::new();
        let kind = match node {
            Node::Directory => {
                EntryKind::Directory { descendants: paths.iter().filter(below).count() as u64 }
            }
            Node::File(bytes) => {
                content = bytes;
                let names = nodes.iter().filter(|(_, node)| matches!(node, Node::HardLink(to) if to == path));
                xattrs.push(Xattr { name: b"user.a b".to_vec(), value: b"\0x".to_vec() });
                EntryKind::File { size: bytes.len() as u64, data_offset: 0, links: 1 + names.count() as u32 }
            }
            Node::Symlink(target) => EntryKind::Symlink { target: target.clone() },
            Node::HardLink(to) => {
                first = Some(*to);
                EntryKind::HardLink { target: paths.iter().position(|path| path == to).unwrap() as u64 }
            }
            Node::Device(major, minor) => EntryKind::CharDevice { major: *major, minor: *minor },
            Node::Fifo => EntryKind::Fifo,
        };
        let mode = if matches!(kind, EntryKind::Directory { .. }) { 0o755 } else { 0o4644 };
        let mut entry = Entry { path: path.clone(), kind, mode, uid: 7, gid: 8, mtime: EPOCH, xattrs };
        header_offsets.push(stream.len() as u64);
        stream.extend(header(&entry, first));
        if let EntryKind::File { data_offset, .. } = &mut entry.kind {
            *data_offset = stream.len() as u64;
        }
        entries.push(entry);
        stream.extend(content);
        stream.resize(stream.len() + padding(content.len() as u64), 0);
    }
    stream.extend(END);
    let chunks = stream.chunks(1 << 16).map(|piece| Chunk {
        id: ChunkId::from_bytes(*blake3::hash(piece).as_bytes()),
        length: piece.len() as u32,
    });
    let input = IndexInput {
        descriptor: Descriptor::new(kind, name, "1", "any").unwrap(),
        entries,
        header_offsets,
        chunks: chunks.collect(),
        stream_len: stream.len() as u64,
        mtime_rule: MtimeRule::Kept,
    };
    FakeLayer {
        kind,
        name: name.to_string(),
        index: Box::leak(emit(&input).unwrap().into_boxed_slice()),
        stream,
    }
}

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

/// A machine whose clock goes on by a millisecond whenever somebody looks.
#[derive(Default)]
pub(crate) struct FakeMachine {
    looks: Cell<u64>,
    pub(crate) clock: Option<u64>,
    pub(crate) network: Option<Network>,
}

impl Machine for FakeMachine {
    fn uptime(&self) -> Duration {
        self.looks.set(self.looks.get() + 1);
        Duration::from_millis(self.looks.get())
    }

    fn wall_clock(&self) -> Option<u64> {
        self.clock
    }

    fn memory(&self) -> Memory {
        Memory { total: 64 << 20, free: 40 << 20, ..Memory::default() }
    }

    fn disks(&self) -> Vec<Disk> {
        vec![Disk {
            name: "vda".to_string(),
            bytes: 3 << 20,
            requests: 9,
            read_bytes: 1 << 20,
            ..Disk::default()
        }]
    }

    fn decompression(&self) -> (Duration, u64) {
        (Duration::from_millis(3), 3 << 20)
    }

    fn network(&self) -> Option<Network> {
        self.network.clone()
    }

    fn log(&self, least: Level, last: usize) -> Vec<Line> {
        let line = |level, text: &str| Line { sequence: 0, at: 1_500_001, level, text: text.to_string() };
        let mut lines = vec![line(Level::Info, "started"), line(Level::Error, "disk\x1b[2J\nfailed")];
        lines.retain(|line| line.level <= least);
        lines.split_off(lines.len().saturating_sub(last))
    }
}

/// A screen that stops after some writes.
pub(crate) struct FakeScreen {
    pub(crate) text: Vec<u8>,
    pub(crate) writes_left: usize,
}

impl Screen for FakeScreen {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Interrupted> {
        self.text.extend_from_slice(bytes);
        self.breathe()?;
        self.writes_left -= 1;
        Ok(())
    }

    fn breathe(&mut self) -> Result<(), Interrupted> {
        if self.writes_left == 0 { Err(Interrupted) } else { Ok(()) }
    }
}

/// A console with all that it needs.
pub(crate) struct Desk {
    pub(crate) console: Console,
    pub(crate) machine: FakeMachine,
    /// Why nothing is mounted, or what is.
    pub(crate) system: Result<FakeSystem, Vec<String>>,
    pub(crate) wish: Option<Wish>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let system = Ok(FakeSystem::new());
        Self { console: Console::default(), machine: FakeMachine::default(), system, wish: None }
    }

    pub(crate) fn standing(system: &Result<FakeSystem, Vec<String>>) -> Standing<'_, FakeSystem> {
        match system {
            Ok(system) => Standing::Mounted(system),
            Err(reasons) => Standing::Rescue(reasons),
        }
    }

    /// Types a line; gives what the screen showed between the line and the next prompt.
    pub(crate) fn run(&mut self, line: &str) -> String {
        self.run_for(line, usize::MAX)
    }

    /// The same with Ctrl-C after so many writes of the command.
    pub(crate) fn run_for(&mut self, line: &str, writes: usize) -> String {
        let mut screen = FakeScreen { text: Vec::new(), writes_left: usize::MAX };
        for byte in line.bytes() {
            let standing = Self::standing(&self.system);
            assert_eq!(self.console.key(byte, &self.machine, standing, &mut screen), None);
        }
        screen.text.clear();
        // The end of the line is shown by one write.
        screen.writes_left = writes.saturating_add(1);
        self.wish = self.console.key(b'\r', &self.machine, Self::standing(&self.system), &mut screen);
        let text = String::from_utf8(screen.text).unwrap();
        let answer = text.strip_prefix("\r\n").unwrap();
        if self.wish.is_some() {
            return answer.to_string();
        }
        let answer = answer.strip_suffix("plyos> ").unwrap();
        assert!(!answer.contains("plyos> "));
        answer.replace("\r\n", "\n")
    }
}
