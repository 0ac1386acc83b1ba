//! Images in memory: equal contents give equal bytes, and a reader of stores finds in them what went in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use plyos_blockstore::layout::UNIT;
use plyos_blockstore::{
    BlockDevice, RecordType, UsedMap, general_area, open, read_extent, read_map, read_record,
};
use plyos_ids::{ChunkId, Codec, GenerationId, LayerId};
use plyos_slots::{Candidate, Event, Slots};

use crate::{Contents, ImageLayer, Plan, PlanError, Source, StoredChunk, WriteError, write};

/// A device in memory.
struct Memory(RefCell<Vec<u8>>);

impl Memory {
    fn of(len: u64) -> Self {
        Self(RefCell::new(vec![0; len as usize]))
    }
}

impl BlockDevice for Memory {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.0.borrow();
        let range = offset as usize..offset as usize + out.len();
        out.copy_from_slice(image.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut image = self.0.borrow_mut();
        let range = offset as usize..offset as usize + bytes.len();
        image.get_mut(range).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Layers made of numbered chunks; their indexes are made up, for an image does not look into them.
struct Made {
    indexes: Vec<Vec<u8>>,
    chunks: Vec<Vec<Vec<u8>>>,
}

impl Source for Made {
    type Error = io::Error;

    fn index(&self, layer: usize) -> io::Result<Vec<u8>> {
        Ok(self.indexes[layer].clone())
    }

    fn chunk(&self, layer: usize, ordinal: usize) -> io::Result<Vec<u8>> {
        Ok(self.chunks[layer][ordinal].clone())
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// Chunks of seeds; an equal seed is an equal chunk.
fn world(layers: &[&[u32]]) -> (Contents, Made) {
    let mut made = Made { indexes: Vec::new(), chunks: Vec::new() };
    let mut image = Vec::new();
    for (number, seeds) in layers.iter().enumerate() {
        let bytes = |seed: &u32| {
            let mut bytes = vec![0; 1000 + *seed as usize * 37 % 90_000];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
            bytes
        };
        let chunks: Vec<Vec<u8>> = seeds.iter().map(bytes).collect();
        let index = vec![number as u8 + 1; 16_384];
        let stored = |bytes: &Vec<u8>| StoredChunk {
            id: ChunkId::from_bytes(hash(bytes)),
            length: bytes.len() as u32,
            codec: Codec::Raw,
        };
        image.push(ImageLayer {
            id: LayerId::from_bytes(hash(&index)),
            index_len: index.len() as u64,
            page_hashes: Vec::new(),
            chunks: chunks.iter().map(stored).collect(),
            manifest: None,
        });
        made.indexes.push(index);
        made.chunks.push(chunks);
    }
    let generation = b"a generation".to_vec();
    let id = GenerationId::from_bytes(hash(&generation));
    let candidate = Candidate { number: 7, generation: id, layer_set: Default::default() };
    let contents = Contents {
        layers: image,
        records: BTreeMap::from([
            ((RecordType::Generation, *id.as_bytes()), generation),
            ((RecordType::Keyring, [9; 32]), vec![3; 1001]),
        ]),
        slots: Slots::default().apply(Event::Activate(candidate), 1234).unwrap(),
        at: 1234,
        time_floor: 99,
        keyring_floor: 5,
        state_version: 2,
    };
    (contents, made)
}

fn image(contents: &Contents, made: &Made, size: Option<u64>) -> (Plan, Memory) {
    let plan = Plan::new(contents, size).unwrap();
    let device = Memory::of(plan.len());
    write(&device, contents, &plan, made, |_| {}).unwrap();
    (plan, device)
}

#[test]
fn what_went_in_is_what_a_reader_finds() {
    let (contents, made) = world(&[&[1, 2, 3, 2], &[4, 3, 5], &[]]);
    let (plan, device) = image(&contents, &made, None);
    let view = open(&device).unwrap();
    let superblock = &view.chosen.superblock;
    assert!(superblock.boots);
    assert_eq!(superblock.slots, contents.slots);
    assert_eq!((superblock.time_floor, superblock.keyring_floor, superblock.state_version), (99, 5, 2));
    assert_eq!((superblock.next_generation, superblock.store_len()), (8, plan.len()));
    let other = view.other.as_ref().unwrap();
    assert_eq!(other.directory, view.chosen.directory, "either superblock copy has all of it");
    for ((record_type, key), bytes) in &contents.records {
        let entry = &view.chosen.directory.records[&(*record_type, *key)];
        assert_eq!(read_record(&device, entry).unwrap(), *bytes);
        assert_eq!(entry.added_at, 1234);
    }
    let (mut ends, mut places) = (Vec::new(), BTreeMap::new());
    for (number, layer) in contents.layers.iter().enumerate() {
        let entry = &view.chosen.directory.layers[&layer.id];
        assert_eq!(read_extent(&device, entry.index).unwrap(), made.indexes[number]);
        let map = read_map(&device, entry, plan.len()).unwrap();
        for (place, chunk) in map.places.iter().zip(&made.chunks[number]) {
            let extent = place.unwrap().extent().unwrap();
            assert_eq!(read_extent(&device, extent).unwrap(), *chunk);
            ends.push(extent.end());
            assert_eq!(*places.entry(chunk).or_insert(*place), *place, "stored once");
        }
        assert_eq!((map.places.len(), entry.added_at), (layer.chunks.len(), 1234));
    }
    assert_eq!(plan.chunk_count(), 5);
    assert_eq!(plan.stored_bytes(), places.keys().map(|chunk| chunk.len() as u64).sum::<u64>());
    assert!(ends.iter().max() < Some(&plan.used_len()));
    assert!(device.0.borrow()[plan.used_len() as usize..].iter().all(|byte| *byte == 0));
}

#[test]
fn equal_contents_give_equal_bytes_and_other_contents_another_name() {
    let (contents, made) = world(&[&[1, 2], &[3]]);
    let (_, first) = image(&contents, &made, None);
    let (_, again) = image(&contents.clone(), &made, None);
    assert!(first.0.borrow()[..] == again.0.borrow()[..]);
    let mut other = contents.clone();
    other.records.insert((RecordType::Keyring, [8; 32]), vec![1]);
    assert_ne!(other.store_uuid(), contents.store_uuid());
    assert_ne!(Contents { time_floor: 98, ..contents.clone() }.store_uuid(), contents.store_uuid());
}

#[test]
fn the_image_is_as_long_as_it_must_be_and_the_reserve_is_free() {
    let many: Vec<u32> = (0..900).collect();
    for (layers, records) in
        [(&[&[][..]][..], 0), (&[&[1, 2, 3, 4, 5, 6, 7, 8, 9]], 1), (&[&many], 0), (&[&many], 3000)]
    {
        let (mut contents, made) = world(layers);
        // Short ones: each takes 8 bytes, and the directory is the longest part of what is committed.
        for number in 0..records {
            contents.records.insert((RecordType::Pin, hash(&u32::to_le_bytes(number))), vec![1]);
        }
        let (plan, device) = image(&contents, &made, None);
        let view = open(&device).unwrap();
        let mut used = UsedMap::metadata(&view);
        UsedMap::content(&device, &view).unwrap().0.runs().for_each(|(start, end)| {
            used.insert(plyos_blockstore::Extent { offset: start * UNIT, len: (end - start) * UNIT });
        });
        let area = general_area(&view.chosen.superblock);
        let last = used.runs().last().unwrap().1;
        assert_eq!(last * UNIT, plan.used_len());
        assert!(last <= area.end, "nothing in the reserve");
        assert!(plan.len() == 1 << 20 || last == area.end, "{last} {area:?}");
        let least = Err(PlanError::TooSmall { asked: plan.len() - 1, least: plan.len() });
        assert_eq!(Plan::new(&contents, Some(plan.len() - 1)), least);
        let (larger, _) = image(&contents, &made, Some(plan.len() * 2 + 5));
        assert_eq!(larger.len(), plan.len() * 2);
    }
}

#[test]
fn a_layer_that_is_there_twice_or_changes_is_refused() {
    let (mut contents, mut made) = world(&[&[1], &[2]]);
    let plan = Plan::new(&contents, None).unwrap();
    made.chunks[1][0].push(0);
    let written = write(&Memory::of(plan.len()), &contents, &plan, &made, |_| {});
    assert!(matches!(written, Err(WriteError::Other(id)) if id == contents.layers[1].id));
    made.chunks[1][0].pop();
    made.indexes[1][0] ^= 1;
    let written = write(&Memory::of(plan.len()), &contents, &plan, &made, |_| {});
    assert!(matches!(written, Err(WriteError::Other(id)) if id == contents.layers[1].id));
    contents.layers[1] = contents.layers[0].clone();
    assert_eq!(Plan::new(&contents, None), Err(PlanError::Layers));
}
