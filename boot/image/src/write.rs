//! Writing an image: format, append, commit; and once more, so that both superblock copies say the same.

use std::fmt;

use plyos_blockstore::layout::{DATA_START, MAX_DIRECTORY_LEN};
use plyos_blockstore::{
    BlockDevice, CommitError, CommitPlan, Expect, Extent, FormatOptions, LayerChange, MetadataArea,
    RecordChange, SlotsChange, StoreView, Transaction, UsedMap, commit, format,
};
use plyos_ids::LayerId;
use plyos_slots::Slots;

use crate::plan::PlannedLayer;
use crate::{Contents, Plan, Source};

/// Bytes that are written at once: 1 MiB.
const RUN: usize = 1 << 20;

/// Why no image was written. What is on the device then is of no use.
#[derive(Debug)]
pub enum WriteError<D, S> {
    /// The device failed.
    Device(D),
    /// The source failed.
    Source(S),
    /// The source gave other bytes than the contents state.
    Other(LayerId),
    /// The store could not be committed.
    Commit(CommitError<D>),
}

impl<D: fmt::Display, S: fmt::Display> fmt::Display for WriteError<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Source(error) => error.fmt(f),
            Self::Other(layer) => write!(f, "layer {layer} changed while it was read; try again"),
            Self::Commit(error) => error.fmt(f),
        }
    }
}

impl<D, S> std::error::Error for WriteError<D, S>
where
    D: fmt::Debug + fmt::Display,
    S: fmt::Debug + fmt::Display,
{
}

/// Writes the image on a device of at least [`Plan::len`] bytes, all of them zero. `advance` is told the bytes of chunks that
/// were written. Gives the store as it is then.
///
/// # Errors
/// [`WriteError`].
pub fn write<D: BlockDevice, S: Source>(
    device: &D,
    contents: &Contents,
    plan: &Plan,
    source: &S,
    mut advance: impl FnMut(u64),
) -> Result<StoreView, WriteError<D::Error, S::Error>> {
    let store_uuid = contents.store_uuid();
    let options = FormatOptions { store_uuid, unit_count: plan.unit_count(), boots: true };
    format(device, &options).map_err(WriteError::Device)?;
    for (number, layer) in contents.layers.iter().enumerate() {
        let planned = plan.layers.get(&layer.id).ok_or(WriteError::Other(layer.id))?;
        append(device, planned, (number, layer.id), source, &mut advance)?;
    }
    let mut content = UsedMap::default();
    content.insert(Extent { offset: DATA_START, len: plan.content_end - DATA_START });
    let commit = |transaction: &Transaction| {
        let area = MetadataArea::GeneralThenReserve;
        let plan = CommitPlan {
            expect: Expect::Anything,
            area,
            content: &[&content],
            longest_directory: MAX_DIRECTORY_LEN,
        };
        commit(device, transaction, &plan).map_err(WriteError::Commit)
    };
    commit(&transaction(contents, plan))?;
    commit(&Transaction { renew: true, ..Transaction::default() })
}

/// Writes the chunks of a layer that no layer before it has, and its index.
fn append<D: BlockDevice, S: Source>(
    device: &D,
    planned: &PlannedLayer,
    (number, id): (usize, LayerId),
    source: &S,
    advance: &mut impl FnMut(u64),
) -> Result<(), WriteError<D::Error, S::Error>> {
    let (mut run, mut start) = (Vec::with_capacity(RUN), planned.start);
    for ordinal in &planned.own {
        let stored = source.chunk(number, *ordinal).map_err(WriteError::Source)?;
        let place = planned.map.places.get(*ordinal).copied().flatten().ok_or(WriteError::Other(id))?;
        if stored.len() as u64 != u64::from(place.length) {
            return Err(WriteError::Other(id));
        }
        if run.len() + stored.len() > RUN {
            device.write_at(start, &run).map_err(WriteError::Device)?;
            start += run.len() as u64;
            run.clear();
        }
        run.extend_from_slice(&stored);
        advance(u64::from(place.length));
    }
    device.write_at(start, &run).map_err(WriteError::Device)?;
    let index = source.index(number).map_err(WriteError::Source)?;
    if index.len() as u64 != planned.index.len || blake3::hash(&index).as_bytes() != id.as_bytes() {
        return Err(WriteError::Other(id));
    }
    device.write_at(planned.index.offset, &index).map_err(WriteError::Device)
}

fn transaction(contents: &Contents, plan: &Plan) -> Transaction {
    let at = contents.at;
    let layers = contents.layers.iter().filter_map(|layer| {
        let planned = plan.layers.get(&layer.id)?;
        let change =
            LayerChange { index: planned.index, map: planned.map.clone(), manifest: layer.manifest, at };
        Some((layer.id, Some(change)))
    });
    let record =
        |(key, bytes): (&_, &Vec<u8>)| (*key, RecordChange { seen: None, bytes: Some(bytes.clone()), at });
    Transaction {
        layers: layers.collect(),
        records: contents.records.iter().map(record).collect(),
        slots: Some(SlotsChange { seen: Slots::default(), new: contents.slots }),
        time_floor: contents.time_floor,
        keyring_floor: contents.keyring_floor,
        state_version: Some(contents.state_version),
        ..Transaction::default()
    }
}
