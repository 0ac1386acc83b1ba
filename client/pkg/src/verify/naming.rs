//! Names for what is damaged: the pages of an index, and the files that lie in damaged chunks.

use super::LayerDamage;
use crate::active::{StoredPages, page_hashes};
use plyos_layer_format::entry::EntryKind;
use plyos_layer_format::index::Index;
use plyos_layer_format::pages::{PAGE_SIZE, PageSource};
use plyos_storefile::StoredLayer;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The pages of a damaged index that are damaged, when the map's hashes are those of its layer.
pub fn damaged_pages(stored: &Arc<StoredLayer>) -> Vec<u32> {
    let Ok(hashes) = page_hashes(stored) else { return Vec::new() };
    if !hashes.verify_root(hashes.page_count(), &stored.id) {
        return Vec::new();
    }
    let pages = StoredPages(Arc::clone(stored));
    let mut bytes = [0; PAGE_SIZE];
    let mut is_damaged =
        |page: &u32| pages.read_page(*page, &mut bytes).is_err() || !hashes.check(*page, &bytes, &stored.id);
    (0..hashes.page_count()).filter(|page| is_damaged(page)).collect()
}

/// Files, hard links included, whose content lies in damaged chunks.
pub fn files(index: &Index<StoredPages>, damage: &LayerDamage) -> BTreeSet<String> {
    let prefix = damage.listed.as_ref().map_or("", |layer| layer.mount.path.trim_end_matches('/'));
    let mut hit = HashSet::new();
    let mut found = BTreeSet::new();
    // Entries were checked when the layer came in, and hashed just now; one that does not read ends the list.
    for (ordinal, entry) in (0u64..).zip(index.entries().map_while(Result::ok)) {
        let is_hit = match entry.kind {
            EntryKind::File { size, data_offset, .. } => {
                // Chunks are in order of the stream: the last one that begins before the file's end is the one to look at.
                let end = data_offset.saturating_add(size);
                let before = damage.chunks.partition_point(|chunk| chunk.start < end);
                let last = before.checked_sub(1).and_then(|at| damage.chunks.get(at));
                size > 0
                    && last.is_some_and(|chunk| chunk.start + u64::from(chunk.check.length) > data_offset)
            }
            EntryKind::HardLink { target } => hit.contains(&target),
            _ => false,
        };
        if is_hit {
            hit.insert(ordinal);
            found.insert(format!("{prefix}/{}", String::from_utf8_lossy(&entry.path)));
        }
    }
    found
}
