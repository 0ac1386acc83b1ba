//! Whole stores, changed anywhere, in front of what the kernel decides: boot, walk, read everything, switch. Errors are fine; a
//! panic is a defect, and so is one byte that no publisher has signed.
//!
//! The input is a list of edits. Most of a store stands below hashes, so an edit of a record or the directory makes the hashes above it
//! right again, up to the slot that names a generation: the parsers behind them see it, as they would see what somebody wrote who can
//! write the disk.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "it makes its own store, and takes numbers within its own lists"
)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use plyos_blockstore::layout::{SUPERBLOCK_OFFSETS, superblock};
use plyos_blockstore::{BlockDevice, Directory, Extent, RecordType, Superblock, open};
use plyos_bytemap::put;
use plyos_ids::{Kind, LayerId, ObjectHash};
use plyos_kernel_logic::{Limits, Options, System, boot};
use plyos_layer_format::descriptor::Descriptor;
use plyos_test_stores::maker::{As, NOW, ROOT, StoreMaker, pins};
use plyos_test_stores::means::means;

/// Bytes of an edit.
const EDIT: usize = 6;
/// Edits of one run.
const MOST_EDITS: usize = 24;
/// Bytes of a file that are read: no file of the store has as many.
const LONGEST_FILE: usize = 100 << 10;

/// The store before any edit, and what its files hold.
struct Original {
    image: Vec<u8>,
    superblock: Superblock,
    directory: Directory,
    /// Everything in the data area that the newest superblock reaches and no hash in the directory covers: indexes, maps and chunks.
    content: Vec<Extent>,
    files: BTreeMap<(LayerId, Vec<u8>), Vec<u8>>,
}

/// An original store with edits over it.
struct Edited {
    original: &'static Original,
    edits: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl BlockDevice for Edited {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.original.image.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(self.original.image.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        for (at, bytes) in &*self.edits.lock().unwrap_or_else(PoisonError::into_inner) {
            let at = *at as usize;
            let (from, to) = (at.max(start), at.saturating_add(bytes.len()).min(end));
            if from < to {
                out[from - start..to - start].copy_from_slice(&bytes[from - at..to - at]);
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.len());
        end.ok_or(io::ErrorKind::FileTooLarge)?;
        self.edits.lock().unwrap_or_else(PoisonError::into_inner).push((offset, bytes.to_vec()));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The edits of run `number`, one to eight of them; one alone is the most common. The same on every machine.
pub fn run(number: u64) -> Vec<u8> {
    let mut random = blake3::Hasher::new().update(b"edited stores").finalize_xof();
    random.set_position(number * (1 + 8 * EDIT as u64));
    let mut input = [0; 1 + 8 * EDIT];
    random.fill(&mut input);
    let [edits, input @ ..] = input;
    input[..EDIT * (1 + (edits.leading_zeros() as usize).min(7))].to_vec()
}

/// The bytes of a store with the edits of `data`, for who boots it otherwise.
pub fn edited(data: &[u8]) -> Vec<u8> {
    let original = original();
    let mut image = original.image.clone();
    for (at, bytes) in edits(original, data) {
        // Edits of places may lead anywhere; only what the disk has is written.
        let at = at as usize;
        let Some(room) = image.len().checked_sub(at) else { continue };
        let length = bytes.len().min(room);
        image[at..at + length].copy_from_slice(&bytes[..length]);
    }
    image
}

/// Every file that a publisher signed: its path in its layer, and its bytes.
pub fn files() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    original().files.iter().map(|((_, path), bytes)| (path.as_slice(), bytes.as_slice()))
}

/// The file of pinned roots that goes with the store.
pub fn roots() -> Vec<u8> {
    pins(&[ROOT]).emit()
}

/// [`mounts`], for a fuzzer.
pub fn store(data: &[u8]) {
    let _ = mounts(data);
}

/// Boots a store with the edits of `data`, reads all that it shows, and switches to each of its generations. Whether there was anything
/// to be read.
pub fn mounts(data: &[u8]) -> bool {
    if data.len() > EDIT * MOST_EDITS {
        return false;
    }
    let original = original();
    let device = Edited { original, edits: Mutex::new(edits(original, data)) };
    let limits = Limits { cache: 256 << 10, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let Ok(system) = boot(device, pins(&[ROOT]), means().0, options, NOW) else { return false };
    let mut bytes = vec![0; LONGEST_FILE];
    read_all(&system, original, &mut bytes);
    for number in 1..4 {
        if system.switch(number, NOW).is_ok() {
            read_all(&system, original, &mut bytes);
        }
    }
    let _ = system.generations();
    true
}

/// Every file that is given out is one that its layer's publisher signed, whole.
fn read_all(system: &System<Edited>, original: &Original, bytes: &mut [u8]) {
    let shown = system.shown();
    for found in shown.namespace().walk() {
        let Ok(found) = found else { return };
        let Some(source) = found.source else { continue };
        let Ok(length) = shown.read(source.layer, &found.entry, 0, bytes) else { continue };
        let layer = &shown.namespace().layers()[source.layer];
        let prefix = layer.info.mount.path.trim_start_matches('/').len();
        let inside = found.entry.path.get(prefix..).unwrap_or_default();
        let inside = inside.strip_prefix(b"/").unwrap_or(inside).to_vec();
        let expected = original.files.get(&(layer.index.id(), inside));
        assert!(expected.is_some_and(|expected| *expected == bytes[..length]), "bytes that nobody signed");
    }
}

/// What the edits of `data` write over the store.
fn edits(original: &Original, data: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut edits = Vec::new();
    let mut directory = original.directory.clone();
    let mut superblock = original.superblock.emit();
    let mut resealed = false;
    let records: Vec<_> = directory.records.keys().copied().collect();
    for edit in data.as_chunks::<EDIT>().0 {
        let [what, which, low, high, how, value] = *edit;
        let at = u64::from(u16::from_le_bytes([low, high]));
        let change = |byte: u8| if how % 2 == 0 { byte ^ value } else { value };
        let in_extent = |extent: Extent| extent.offset + at % extent.len.max(1);
        let byte_at = |offset: u64| original.image.get(offset as usize).copied().unwrap_or_default();
        match what % 7 {
            // Anywhere.
            0 => {
                let offset = (at << 8 | u64::from(which)) % original.image.len() as u64;
                edits.push((offset, vec![change(byte_at(offset))]));
            }
            // A superblock, whose checksum fits again.
            1 => {
                let at = (at as usize) % 360;
                superblock[at] = change(superblock[at]);
                resealed = true;
            }
            // A record, whose hash fits again.
            2 => {
                let Some(entry) = directory.records.get_mut(&records[usize::from(which) % records.len()])
                else {
                    continue;
                };
                let (start, end) = (entry.extent.offset as usize, entry.extent.end() as usize);
                let mut bytes = original.image[start..end].to_vec();
                let at = (at as usize) % bytes.len();
                bytes[at] = change(bytes[at]);
                entry.hash = ObjectHash::from_bytes(*blake3::hash(&bytes).as_bytes());
                edits.push((entry.extent.offset, bytes));
                resealed = true;
            }
            // An index, a map, a chunk.
            3 => {
                let extent = original.content[usize::from(which) % original.content.len()];
                edits.push((in_extent(extent), vec![change(byte_at(in_extent(extent)))]));
            }
            // Where the directory says that something lies, and how long it is.
            4 => {
                let entry =
                    directory.layers.values_mut().nth(usize::from(which) % original.directory.layers.len());
                let Some(entry) = entry else { continue };
                let extent = if how & 4 == 0 { &mut entry.index } else { &mut entry.map };
                if how & 8 == 0 {
                    extent.offset ^= at << 4
                } else {
                    extent.len ^= at
                }
                resealed = true;
            }
            // A generation, under the name that it then has, which the slot names: nobody signs generations.
            5 => {
                let generations: Vec<_> =
                    records.iter().filter(|key| key.0 == RecordType::Generation).collect();
                let key = generations[usize::from(which) % generations.len()];
                let Some(mut entry) = directory.records.remove(key) else { continue };
                let mut bytes =
                    original.image[entry.extent.offset as usize..entry.extent.end() as usize].to_vec();
                let at = (at as usize) % bytes.len();
                bytes[at] = change(bytes[at]);
                let hash = *blake3::hash(&bytes).as_bytes();
                (entry.key, entry.hash) = (hash, ObjectHash::from_bytes(hash));
                directory.records.insert((RecordType::Generation, hash), entry);
                if let Some(at) = superblock.windows(hash.len()).position(|window| window == key.1) {
                    superblock[at..at + hash.len()].copy_from_slice(&hash);
                }
                edits.push((entry.extent.offset, bytes));
                resealed = true;
            }
            // What the directory lists.
            _ => {
                directory.records.remove(&records[usize::from(which) % records.len()]);
                resealed = true;
            }
        }
    }
    if resealed {
        let bytes = directory.emit();
        put(&mut superblock, superblock::DIRECTORY_LEN, &(bytes.len() as u32).to_le_bytes());
        put(&mut superblock, superblock::DIRECTORY_HASH, blake3::hash(&bytes).as_bytes());
        let checksum = blake3::hash(&superblock[..superblock::CHECKSUM.offset]);
        put(&mut superblock, superblock::CHECKSUM, checksum.as_bytes());
        edits.push((original.superblock.directory.offset, bytes));
        // In both places, so that the other copy is no way out.
        edits.extend(SUPERBLOCK_OFFSETS.map(|offset| (offset, superblock.to_vec())));
    }
    edits
}

/// A store of 1 MiB with a base and a site: generation 1 good, generation 2 on trial.
fn original() -> &'static Original {
    static ORIGINAL: OnceLock<Original> = OnceLock::new();
    ORIGINAL.get_or_init(|| {
        let mut maker = StoreMaker::new(1 << 20);
        let mut files = BTreeMap::new();
        let mut layer = |kind, name: &str, tree: &[(&str, Vec<u8>)]| {
            let folder = tempfile::tempdir().unwrap();
            for (path, content) in tree {
                let path = folder.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            let descriptor = Descriptor::new(kind, name, "1", "any").unwrap();
            let listed = maker.layer(folder.path(), &descriptor);
            for (path, content) in tree {
                files.insert((listed.id, path.as_bytes().to_vec()), content.clone());
            }
            listed
        };
        let noise = |name: &str, len: usize| {
            let mut out = vec![0; len];
            blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut out);
            out
        };
        // Names so long that there are several pages of an index, and so few files that what they hold fits into the cache: the time
        // goes into edits, not into the same chunk again for each of its files.
        let many: Vec<(String, Vec<u8>)> = (0..120)
            .map(|number| (format!("usr/share/{}{number:03}", "long".repeat(20)), noise("many", number % 40)))
            .collect();
        let mut base: Vec<(&str, Vec<u8>)> =
            many.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        base.push(("usr/bin/tool", noise("tool", 90_000)));
        base.push(("etc/hostname", b"plyos\n".to_vec()));
        let base = layer(Kind::Base, "base", &base);
        let one = layer(Kind::Site, "docs", &[("index.html", b"<h1>one</h1>".to_vec())]);
        let two = layer(Kind::Site, "docs", &[("index.html", vec![b'2'; 5000])]);
        maker.activate(&[base.clone(), one], As::Good);
        maker.activate(&[base, two], As::Trial(3));
        let device = maker.device();
        let copy = open(&device).unwrap().chosen;
        let store = plyos_storefile::Store::on_device(device.clone(), "store").unwrap();
        let mut content = Vec::new();
        for entry in copy.directory.layers.values() {
            content.extend([entry.index, entry.map]);
            let layer = store.layer(&entry.id).unwrap().unwrap();
            content.extend(layer.places().iter().flatten().filter_map(|place| place.extent()));
        }
        let (superblock, directory) = (copy.superblock, copy.directory);
        Original { image: device.image(), superblock, directory, content, files }
    })
}

/// What a test needs to know before it believes that edits are found: unedited, everything is there.
pub fn is_whole() -> bool {
    let original = original();
    let device = Edited { original, edits: Mutex::default() };
    let Ok(system) = boot(device, pins(&[ROOT]), means().0, Options::default(), NOW) else {
        return false;
    };
    let shown = system.shown();
    let read = shown.namespace().walk().filter(|found| {
        let Ok(found) = found else { return false };
        let mut bytes = vec![0; LONGEST_FILE];
        found.source.is_some_and(|source| shown.read(source.layer, &found.entry, 0, &mut bytes).is_ok())
    });
    read.count() + 1 == original.files.len() && shown.number() == 2
}
