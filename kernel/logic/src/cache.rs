//! What was read and verified, bounded by bytes, and shared by all generations: everything is named by what it is, so what two
//! generations have in common is kept once.

use alloc::sync::Arc;
use alloc::vec::Vec;

use plyos_ids::{ChunkId, LayerId, ObjectHash};
use plyos_layer_format::pages::{PAGE_SIZE, Page};
use spin::Mutex;

pub use crate::kept::Counts;
use crate::kept::Kept;

/// Of the cache, one part in so many is for pages. A reader of large files must not drive out the pages by which files are
/// found.
const PAGES_SHARE: u64 = 4;

/// How the cache was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatistics {
    /// Chunks of content.
    pub chunks: Counts,
    /// Pages of indexes, and pieces of maps.
    pub pages: Counts,
}

/// What a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PageKey {
    /// This page of a layer's index; verified.
    Index(LayerId, u32),
    /// This piece of the map of this hash: claims, for a map is not hashed piece by piece. What is read by them is.
    Map(ObjectHash, u64),
}

/// Both caches. The locks are held for a look or an insertion, never while something is read or computed.
#[derive(Debug)]
pub(crate) struct Cache {
    chunks: Mutex<Kept<ChunkId, Vec<u8>>>,
    pages: Mutex<Kept<PageKey, Page>>,
}

impl Cache {
    /// With room for so many bytes in all.
    pub const fn new(limit: u64) -> Self {
        let pages = limit / PAGES_SHARE;
        Self { chunks: Mutex::new(Kept::new(limit - pages)), pages: Mutex::new(Kept::new(pages)) }
    }

    pub fn chunk(&self, id: &ChunkId) -> Option<Arc<Vec<u8>>> {
        self.chunks.lock().get(id)
    }

    pub fn has_chunk(&self, id: &ChunkId) -> bool {
        self.chunks.lock().contains(id)
    }

    /// Keeps a chunk whose bytes were verified.
    pub fn keep_chunk(&self, id: ChunkId, bytes: &Arc<Vec<u8>>) {
        self.chunks.lock().insert(id, bytes, bytes.len() as u64);
    }

    pub fn page(&self, key: &PageKey) -> Option<Arc<Page>> {
        self.pages.lock().get(key)
    }

    pub fn keep_page(&self, key: PageKey, bytes: &Arc<Page>) {
        self.pages.lock().insert(key, bytes, PAGE_SIZE as u64);
    }

    pub fn forget_page(&self, key: &PageKey) {
        self.pages.lock().remove(key);
    }

    /// Bytes of chunks that it can hold.
    pub fn room_for_chunks(&self) -> u64 {
        self.chunks.lock().counts().limit
    }

    /// Forgets the chunks, to have room for something else.
    pub fn forget_chunks(&self) {
        self.chunks.lock().clear();
    }

    /// Forgets everything: for measuring what a cold read costs.
    pub fn clear(&self) {
        self.chunks.lock().clear();
        self.pages.lock().clear();
    }

    pub fn statistics(&self) -> CacheStatistics {
        CacheStatistics { chunks: self.chunks.lock().counts(), pages: self.pages.lock().counts() }
    }
}
