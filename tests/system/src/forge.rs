//! A publisher with good keys and bad intentions: takes a layer that was pushed, changes bytes of its index, frames or
//! tables, makes every hash above them right again, and certifies and offers the result. So only the rule that the
//! change breaks can refuse it.
//!
//! [`Forged::of`] takes a pushed layer apart, its methods change it, [`Forged::offer`] puts it into the catalog and
//! [`Forged::push`] under a tag, where `plyos publish` finds it.

use crate::publisher::{Publisher, Pushed, now, unlocked};
use crate::registry::Registry;
use plyos_custody::repository::{LayerTarget, Workspace};
use plyos_ids::{BlobDigest, Codec, LayerId, ObjectHash};
use plyos_layer_build::reader::Blob;
use plyos_layer_format::annotations::{IndexPlace, LAYER_FRAMES, LAYER_ID, LAYER_INDEX, TablePlace};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::footer::{Footer, skippable};
use plyos_layer_format::frames::FrameTable;
use plyos_layer_format::index::{self, Limits};
use plyos_trust::custom::Sizes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::Cursor;
use std::ops::Range;

/// Bytes of a page of an index, of a page's header, and of the fixed part of an entry record: docs/formats.md.
const PAGE: usize = 16_384;
const PAGE_HEADER: usize = 16;
const RECORD: usize = 48;

/// Offset and bytes of a field of an entry record.
pub type Field = (usize, usize);
/// Fields of an entry record: docs/formats.md, "Layer index".
pub const TYPE: Field = (0, 1);
/// Mode.
pub const MODE: Field = (2, 2);
/// Bytes of content; of a directory, entries below it.
pub const SIZE: Field = (24, 8);
/// Where the content lies, from the page's stream base.
pub const DATA_OFFSET: Field = (32, 8);
/// Names of a file; of a hard link, how far back its first path stands.
pub const LINK: Field = (40, 4);

/// A layer in parts.
#[derive(Debug, Clone)]
pub struct Forged {
    /// The index.
    pub index: Vec<u8>,
    /// Stored frames in order.
    pub frames: Vec<Vec<u8>>,
    /// Uncompressed bytes of each chunk.
    pub chunks: Vec<Vec<u8>>,
    /// What the manifest and the footer will say of the index, when it shall be something else.
    pub index_place: Option<fn(IndexPlace) -> IndexPlace>,
    /// Changes the frame table before it is hashed.
    pub table: Option<fn(&mut FrameTable)>,
    /// The index as stored, when it shall not be the index.
    pub stored_index: Option<Vec<u8>>,
    descriptor: Descriptor,
    encoder: u32,
    manifest: Value,
}

/// A forged layer, whole.
#[derive(Debug)]
struct Sealed {
    blob: Vec<u8>,
    manifest: Vec<u8>,
    layer: LayerId,
    index_len: u64,
}

impl Forged {
    /// Takes a pushed layer apart.
    pub fn of(registry: &Registry, pushed: &Pushed) -> Self {
        let bytes = registry.stored().read(pushed.text("blob"));
        let mut blob = Blob::open(Cursor::new(bytes.as_slice()), &Limits::default()).unwrap();
        let index = blob.index_bytes().to_vec();
        let encoder = blob.table().encoder;
        let (opened, frames) = blob.parts().unwrap();
        let descriptor = opened.descriptor().clone();
        let (mut stored, mut chunks) = (Vec::new(), Vec::new());
        for (ordinal, chunk) in (0..).zip(opened.chunks()) {
            stored.push(frames.frame(ordinal).unwrap());
            chunks.push(frames.chunk(ordinal, &chunk.unwrap()).unwrap());
        }
        let manifest = serde_json::from_slice(&registry.stored().read(pushed.text("manifest")));
        Self {
            index,
            frames: stored,
            chunks,
            index_place: None,
            table: None,
            stored_index: None,
            descriptor,
            encoder,
            manifest: manifest.unwrap(),
        }
    }

    /// Where the records of the (one) page of entries lie, with their paths.
    fn records(&self) -> Vec<(Vec<u8>, Range<usize>)> {
        let number = |at: usize| usize::from(u16::from_le_bytes([self.index[at], self.index[at + 1]]));
        let head = PAGE * number(68);
        let count = number(head + 2);
        let mut at = head + PAGE_HEADER;
        let mut found: Vec<(Vec<u8>, Range<usize>)> = Vec::new();
        for _ in 0..count {
            let (prefix, suffix) = (number(at + 4), number(at + 6));
            let end = at + RECORD + suffix + number(at + 44) + number(at + 46);
            let before = found.last().map_or(&[][..], |(path, _)| &path[..prefix]);
            let path = [before, &self.index[at + RECORD..at + RECORD + suffix]].concat();
            found.push((path, at..end));
            at = end;
        }
        found
    }

    fn record(&self, path: &str) -> Range<usize> {
        let found = self.records().into_iter().find(|(known, _)| known == path.as_bytes());
        found.unwrap_or_else(|| panic!("no entry {path}")).1
    }

    /// Changes a field of an entry's record; `change` is given what stands there.
    pub fn field(&mut self, path: &str, (offset, size): Field, change: impl FnOnce(u64) -> u64) {
        let at = self.record(path).start + offset;
        let mut value = [0; 8];
        value[..size].copy_from_slice(&self.index[at..at + size]);
        let changed = change(u64::from_le_bytes(value));
        assert_ne!(changed.to_le_bytes(), value, "the field of {path} stays what it was");
        self.index[at..at + size].copy_from_slice(&changed.to_le_bytes()[..size]);
    }

    /// Gives an entry another path of the same length, which differs only where its record holds bytes of its own.
    pub fn rename(&mut self, from: &str, to: &[u8]) {
        assert_eq!(from.len(), to.len(), "{from}");
        let record = self.record(from);
        let suffix =
            usize::from(u16::from_le_bytes([self.index[record.start + 6], self.index[record.start + 7]]));
        let own = to.len() - suffix;
        assert_eq!(from.as_bytes()[..own], to[..own], "{from} shares these bytes with the path before it");
        let at = record.start + RECORD;
        self.index[at..at + suffix].copy_from_slice(&to[own..]);
    }

    /// Replaces bytes that stand in one place of the stream, within one chunk, and gives that chunk its new identity.
    pub fn stream(&mut self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let at = |chunk: &Vec<u8>| chunk.windows(from.len()).position(|window| window == from);
        let number =
            self.chunks.iter().position(|chunk| at(chunk).is_some()).expect("bytes that stand in the stream");
        let offset = at(&self.chunks[number]).unwrap();
        let old = *blake3::hash(&self.chunks[number]).as_bytes();
        self.chunks[number][offset..offset + to.len()].copy_from_slice(to);
        let new = *blake3::hash(&self.chunks[number]).as_bytes();
        let place = self.index.windows(32).position(|window| window == old).expect("the chunk's record");
        self.index[place..place + 32].copy_from_slice(&new);
        self.frames[number] = zstd::bulk::compress(&self.chunks[number], 3).unwrap();
    }

    fn seal(&self) -> Sealed {
        let layer = index::layer_id(&self.index);
        let mut blob: Vec<u8> = self.frames.concat();
        let put = |blob: &mut Vec<u8>, payload: &[u8]| {
            blob.extend_from_slice(&skippable(u32::try_from(payload.len()).unwrap()));
            let offset = blob.len() as u64;
            blob.extend_from_slice(payload);
            offset
        };
        let stored = self.stored_index.as_ref().unwrap_or(&self.index);
        let place = IndexPlace {
            offset: put(&mut blob, stored),
            stored: stored.len() as u64,
            length: self.index.len() as u64,
            codec: Codec::Raw,
        };
        let index = self.index_place.map_or(place, |change| change(place));
        let lengths = self.frames.iter().map(|frame| u32::try_from(frame.len()).unwrap()).collect();
        let form = plyos_layer_format::frames::Form::Zstd;
        let mut table = FrameTable { layer_id: layer, form, encoder: self.encoder, lengths };
        if let Some(change) = self.table {
            change(&mut table);
        }
        let bytes = table.emit().unwrap();
        let table = TablePlace {
            offset: put(&mut blob, &bytes),
            stored: bytes.len() as u64,
            length: bytes.len() as u64,
            codec: Codec::Raw,
            hash: ObjectHash::from_bytes(*blake3::hash(&bytes).as_bytes()),
        };
        let stream_len = self.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        blob.extend_from_slice(&Footer { index, table, layer_id: layer, stream_len, form }.emit());

        let mut manifest = self.manifest.clone();
        let described = &mut manifest["layers"][0];
        described["digest"] = Value::from(BlobDigest::from_bytes(Sha256::digest(&blob).into()).to_string());
        described["size"] = Value::from(blob.len());
        for (key, value) in [
            (LAYER_ID, layer.to_string()),
            (LAYER_INDEX, index.to_string()),
            (LAYER_FRAMES, table.to_string()),
        ] {
            described["annotations"][key] = Value::from(value);
        }
        Sealed { blob, manifest: manifest.to_string().into_bytes(), layer, index_len: index.stored }
    }

    /// Certifies the layer and puts it into the catalog, as `plyos publish` would if it did not look.
    pub fn offer(&self, publisher: &Publisher, registry: &Registry) {
        let sealed = self.seal();
        registry.stored().keep(&sealed.blob);
        let mut workspace = unlocked(|| Workspace::open(&publisher.workspace()));
        let target = LayerTarget {
            descriptor: self.descriptor.to_json(),
            kind: self.descriptor.kind(),
            name: self.descriptor.name().to_owned(),
            version: self.descriptor.version().to_owned(),
            arch: self.descriptor.arch().to_owned(),
            layer: sealed.layer,
            manifest: sealed.manifest,
            sizes: Sizes { blob: sealed.blob.len() as u64, index: sealed.index_len, content: 0 },
            channels: vec!["stable".to_owned()],
            epoch: 0,
            registry: None,
        };
        unlocked(|| workspace.add_layer(target.clone(), now()));
        drop(workspace);
        publisher.sign_at(registry, now());
    }

    /// Puts the layer under the tag of `pushed`.
    pub fn push(&self, registry: &Registry, pushed: &Pushed) {
        let sealed = self.seal();
        registry.retag(&pushed.place, pushed.text("manifest"), &sealed.manifest, &sealed.blob);
    }
}
