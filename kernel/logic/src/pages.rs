//! The pages of a layer's index, read from the store and kept once the index has verified them.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use core::fmt;

use plyos_blockstore::Extent;
use plyos_ids::{LayerId, ObjectHash};
use plyos_layer_format::pages::{PAGE_SIZE, Page, PageSource};
use spin::Mutex;

use crate::cache::PageKey;
use crate::read_ahead::Flows;
use crate::store::{Device, Store};

/// Where a layer lies.
#[derive(Debug)]
pub(crate) struct OnDisk {
    pub id: LayerId,
    /// Its index.
    pub index: Extent,
    /// The places of its map.
    pub places: Extent,
    /// The hash of its map: a name under which pieces of it are kept.
    pub map_hash: ObjectHash,
    /// Bytes of the store, in which every place must lie.
    pub store_len: u64,
    /// Who reads it in order.
    pub flows: Mutex<Flows>,
}

/// The pages of one layer; also the way to its chunks.
pub struct Pages<D> {
    pub(crate) store: Arc<Store<D>>,
    pub(crate) layer: Arc<OnDisk>,
}

impl<D> fmt::Debug for Pages<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("layer", &self.layer.id).finish_non_exhaustive()
    }
}

impl<D: Device> Pages<D> {
    /// Reads `PAGE_SIZE` bytes of an extent, from piece `number` of such on; zeroes follow where it ends before.
    pub(crate) fn read_piece(&self, extent: Extent, number: u64, out: &mut [u8]) -> Result<(), String> {
        let start = number.saturating_mul(PAGE_SIZE as u64);
        let length = extent.len.saturating_sub(start).min(PAGE_SIZE as u64) as usize;
        if length == 0 {
            return Err(format!("there is no page {number}"));
        }
        let (piece, behind) = out.split_at_mut_checked(length).unwrap_or((&mut [], &mut []));
        behind.fill(0);
        let offset = extent.offset.saturating_add(start);
        self.store.device.read_at(offset, piece).map_err(|error| error.to_string())
    }
}

impl<D: Device> PageSource for Pages<D> {
    type Error = String;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), String> {
        self.read_piece(self.layer.index, page.into(), out.as_mut_slice())
    }

    fn kept(&self, page: u32) -> Option<Arc<Page>> {
        self.store.cache.page(&PageKey::Index(self.layer.id, page))
    }

    fn keep(&self, page: u32, bytes: &Arc<Page>) {
        self.store.cache.keep_page(PageKey::Index(self.layer.id, page), bytes);
    }
}
