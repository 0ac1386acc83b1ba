//! A whole small store: a layer, its generation and certificate, active after one commit.
//!
//! Made with the core's `format` and `commit`, which take identity and time as arguments; the shell around them asks the
//! system for both. After one commit both superblock copies are valid and everything in the store is reached, so that the
//! image can be written again of what is found in it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use plyos_blockstore::layout::{MAX_DIRECTORY_LEN, MIN_STORE_LEN, SUPERBLOCK_OFFSETS, UNIT};
use plyos_blockstore::{
    BlockDevice as _, CommitPlan, Expect, Extent, Floors, FormatOptions, FreeSpace, History, HistoryEntry,
    LayerChange, LayerMap, MetadataArea, Place, RecordChange, RecordType, SlotsChange, Transaction, UsedMap,
    commit, format, general_area, open, read_extent, read_map, read_record,
};
use plyos_custody::Signer as _;
use plyos_ids::{Codec, Kind};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::index::layer_id;
use plyos_layer_format::pages::PageHashes;
use plyos_namespace::generation::Generation;
use plyos_slots::{Candidate, Event};
use plyos_storefile::{Action, RecordingDevice};
use plyos_trust::certificate::{Certificate, Statement};
use plyos_trust::signatures::Signatures;

use crate::fixed::{NOW, key};
use crate::generation::{listed, parts};
use crate::tree::{Layer, Node, layer};
use crate::{Again, Golden};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[Golden {
    name: "store.hex",
    section: "Store",
    what: "a store of 1 MiB: formatted, then one commit of a site with certificate, generation, history and floors",
    make: image,
    again: Again::Emit(again),
}];

/// The layer in the store.
pub fn site() -> Result<Layer> {
    let nodes = vec![
        Node::directory(""),
        Node::file("index.html", "<!doctype html>\n<title>golden</title>\n"),
        Node::file("robots.txt", "User-agent: *\n"),
    ];
    layer(nodes, Descriptor::new(Kind::Site, "golden", "1.0", "any")?)
}

fn image() -> Result<Vec<u8>> {
    let device = RecordingDevice::new(MIN_STORE_LEN as usize);
    let options =
        FormatOptions { store_uuid: *b"golden store 002", unit_count: MIN_STORE_LEN / UNIT, boots: false };
    let view = format(&device, &options)?;
    let mut content = UsedMap::default();
    let mut free = FreeSpace::new(general_area(&view.chosen.superblock), &[&UsedMap::metadata(&view)]);
    let mut append = |bytes: &[u8]| -> Result<Extent> {
        free.seal();
        let len = bytes.len() as u64;
        let offset = free.take(len, 1).context("no room")?;
        device.write_at(offset, bytes)?;
        content.insert(Extent { offset, len });
        Ok(Extent { offset, len })
    };
    let Layer { stream, chunks, index } = site()?;
    let mut places = Vec::new();
    let stored = append(&stream)?;
    let mut offset = stored.offset;
    for chunk in &chunks {
        places.push(Some(Place { offset, length: chunk.length, codec: Codec::Raw, source: 0 }));
        offset += u64::from(chunk.length);
    }
    let extent = append(&index)?;
    let map = LayerMap::new(layer_id(&index), PageHashes::compute(&index).as_list().to_vec(), places);
    let mut transaction = records(&index)?;
    let change = LayerChange { index: extent, map, manifest: None, at: NOW };
    transaction.layers.insert(layer_id(&index), Some(change));
    let generation = generation(&index)?;
    let new = Candidate { number: 1, generation: generation.id(), layer_set: generation.layer_set() };
    let seen = view.chosen.superblock.slots;
    transaction.slots = Some(SlotsChange { seen, new: seen.apply(Event::Activate(new), NOW)? });
    let plan = CommitPlan {
        expect: Expect::Active(None),
        area: MetadataArea::GeneralThenReserve,
        content: &[&content],
        longest_directory: MAX_DIRECTORY_LEN,
    };
    commit(&device, &transaction, &plan)?;
    Ok(device.image())
}

fn generation(index: &[u8]) -> Result<Generation> {
    Ok(Generation::new(parts(1, vec![listed(Kind::Site, "golden", layer_id(index))]))?)
}

/// Everything of the commit but layer and slots.
fn records(index: &[u8]) -> Result<Transaction> {
    let statement = Statement { layer: layer_id(index), issued_at: NOW, epoch: 1 };
    let signature = key(11)?.sign(&statement.message())?;
    let certificate = Certificate::new(statement, Signatures::new(vec![signature])?).emit();
    let generation = generation(index)?;
    let mut history = History::default();
    history.push(HistoryEntry {
        number: 1,
        from: 0,
        at: NOW,
        generation: generation.id(),
        action: Action::Install,
        command: "pkg install golden".into(),
    });
    let mut floors = Floors::default();
    floors.raise(Kind::Site, "golden", 1)?;
    let records = [
        (RecordType::Generation, *generation.id().as_bytes(), generation.emit()),
        (RecordType::Certificate, *layer_id(index).as_bytes(), certificate),
        (RecordType::History, RecordType::ONLY, history.emit()),
        (RecordType::Floors, RecordType::ONLY, floors.emit()),
    ];
    let change = |(kind, key, bytes)| ((kind, key), RecordChange { seen: None, bytes: Some(bytes), at: NOW });
    Ok(Transaction {
        records: BTreeMap::from(records.map(change)),
        time_floor: NOW,
        keyring_floor: 2,
        next_generation: 2,
        ..Transaction::default()
    })
}

/// The store written again: both superblock copies and all that they reach, into zeroes.
fn again(bytes: &[u8]) -> Result<Vec<u8>> {
    let device = RecordingDevice::from_image(bytes.to_vec());
    let mut out = vec![0; bytes.len()];
    let mut put = |offset: u64, bytes: &[u8]| -> Result<()> {
        let place = out.get_mut(offset as usize..offset as usize + bytes.len());
        place.context("outside of the store")?.copy_from_slice(bytes);
        Ok(())
    };
    let view = open(&device)?;
    ensure!(view.other.is_ok(), "one superblock copy is not valid");
    for copy in view.copies() {
        let offset = SUPERBLOCK_OFFSETS.get(copy.number).context("a third copy")?;
        put(*offset, &copy.superblock.emit())?;
        put(copy.superblock.directory.offset, &copy.directory.emit())?;
        for entry in copy.directory.records.values() {
            put(entry.extent.offset, &read_record(&device, entry)?)?;
        }
        for entry in copy.directory.layers.values() {
            let map = read_map(&device, entry, copy.superblock.store_len())?;
            put(entry.map.offset, &map.emit())?;
            put(entry.index.offset, &read_extent(&device, entry.index)?)?;
            for place in map.places.iter().flatten() {
                let extent = place.extent().context("a place elsewhere")?;
                put(extent.offset, &read_extent(&device, extent)?)?;
            }
        }
    }
    Ok(out)
}
