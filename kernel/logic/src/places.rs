//! Where the chunks of a layer lie, read piece by piece.
//!
//! A map may have hundreds of megabytes, and it is hashed as a whole; so who mounts never reads it whole, and its pieces are not verified.
//! They need not be: a place is a claim, and what is read from it counts only when it hashes to the chunk that the index names.
//! A wrong place can only make a read fail. Then the piece is forgotten, so that it is read anew the next time.

use alloc::sync::Arc;
use alloc::vec;

use plyos_blockstore::Place;
use plyos_layer_format::pages::{PAGE_SIZE, Page};

use crate::Pages;
use crate::cache::PageKey;
use crate::chunks::ChunkFault;
use crate::store::Device;

/// Places in a piece.
const IN_PIECE: u64 = (PAGE_SIZE / Place::SIZE) as u64;

impl<D: Device> Pages<D> {
    /// Where chunk `ordinal` lies.
    pub(crate) fn place(&self, ordinal: u64) -> Result<Place, ChunkFault> {
        let piece = self.map_piece(ordinal / IN_PIECE)?;
        let at = (ordinal % IN_PIECE) as usize * Place::SIZE;
        let bytes = piece.get(at..at + Place::SIZE).unwrap_or_default();
        let place = Place::parse(bytes, self.layer.store_len)?.ok_or(ChunkFault::Absent)?;
        // Other devices are named by a record that nothing writes yet.
        if place.source == 0 { Ok(place) } else { Err(ChunkFault::Elsewhere(place.source)) }
    }

    /// Makes the next look at where chunk `ordinal` lies read the device again.
    pub(crate) fn forget_place(&self, ordinal: u64) {
        self.store.cache.forget_page(&PageKey::Map(self.layer.map_hash, ordinal / IN_PIECE));
    }

    fn map_piece(&self, number: u64) -> Result<Arc<Page>, ChunkFault> {
        let key = PageKey::Map(self.layer.map_hash, number);
        if let Some(kept) = self.store.cache.page(&key) {
            return Ok(kept);
        }
        if number >= self.layer.places.len.div_ceil(PAGE_SIZE as u64) {
            return Err(ChunkFault::Absent);
        }
        // By way of a vector, for a page is too large for the stack of a kernel.
        let mut bytes = vec![0; PAGE_SIZE];
        self.read_piece(self.layer.places, number, &mut bytes).map_err(ChunkFault::Device)?;
        let piece: Arc<Page> = Arc::<[u8]>::from(bytes).try_into().map_err(|_| ChunkFault::Absent)?;
        self.store.cache.keep_page(key, &piece);
        Ok(piece)
    }
}
