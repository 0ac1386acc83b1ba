//! A record on its way into a store.

use std::time::SystemTime;

use plyos_blockstore::layout::MAX_RECORD_LEN;
use plyos_blockstore::{RecordChange, RecordType};
use plyos_ids::ObjectHash;

use crate::{Result, Store, StoreError};

/// A record that may be put: of 1 byte to 64 MiB, and a generation under its own identity only.
pub(crate) fn record_change<D>(
    store: &Store<D>,
    record_type: RecordType,
    key: &[u8; 32],
    bytes: &[u8],
) -> Result<RecordChange> {
    let invalid = |what| Err(StoreError::Invalid { path: store.path.clone(), what });
    if bytes.is_empty() || bytes.len() as u64 > MAX_RECORD_LEN {
        return invalid(format!("a record ({record_type}) of {} bytes", bytes.len()));
    }
    if record_type == RecordType::Generation && blake3::hash(bytes).as_bytes() != key {
        return invalid(String::from("a generation that does not hash to its key"));
    }
    Ok(RecordChange { seen: seen(store, record_type, key), bytes: Some(bytes.to_vec()), at: now() })
}

/// The record taken away, as it was seen.
pub(crate) fn record_removal<D>(store: &Store<D>, record_type: RecordType, key: &[u8; 32]) -> RecordChange {
    RecordChange { seen: seen(store, record_type, key), bytes: None, at: now() }
}

fn seen<D>(store: &Store<D>, record_type: RecordType, key: &[u8; 32]) -> Option<ObjectHash> {
    store.view.chosen.directory.records.get(&(record_type, *key)).map(|entry| entry.hash)
}

/// Seconds since 1970-01-01 UTC; 0 when the clock stands before. For people only, nothing is decided by it.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
