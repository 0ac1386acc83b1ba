//! What a mount keeps in memory: index pages and chunks, verified when they came in, bounded by bytes.
//!
//! Shared by all generations, for a page or chunk is named by what it is. Two readers that want one chunk wait for one
//! decompression; readers of different chunks do not wait for each other.

use super::nodes::locked;
use plyos_ids::{ChunkId, LayerId};
use plyos_layer_format::pages::{PAGE_SIZE, Page, PageSource};
use plyos_storefile::{MountedLayer, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex};

/// Bytes of index pages that are kept: the pages of about a hundred thousand files.
const PAGES: u64 = 16 << 20;

/// Both caches of a mount.
pub struct Caches {
    chunks: Kept<ChunkId, Vec<u8>>,
    pages: Kept<(LayerId, u32), Page>,
    /// Chunks that are just being read: who comes second waits for the first.
    coming: Mutex<HashMap<ChunkId, Coming>>,
}

type Coming = Arc<Mutex<Option<Arc<Vec<u8>>>>>;

impl Caches {
    /// With room for so many bytes of chunks.
    pub fn new(chunk_bytes: u64) -> Self {
        Self { chunks: Kept::new(chunk_bytes), pages: Kept::new(PAGES), coming: Mutex::default() }
    }

    /// A chunk, by `load` when it is not here. `load` must verify it. No lock but that of this one chunk is held meanwhile.
    pub fn chunk<E>(
        &self,
        id: &ChunkId,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<Vec<u8>>, E> {
        if let Some(chunk) = self.chunks.get(id) {
            return Ok(chunk);
        }
        let coming = Arc::clone(locked(&self.coming).entry(*id).or_default());
        let mut come = locked(&coming);
        if let Some(chunk) = &*come {
            return Ok(Arc::clone(chunk));
        }
        // It may have come between the two looks.
        let loaded = match self.chunks.get(id) {
            Some(chunk) => Ok(chunk),
            None => load().map(Arc::new),
        };
        if let Ok(chunk) = &loaded {
            self.chunks.insert(*id, chunk, chunk.len() as u64);
            *come = Some(Arc::clone(chunk));
        }
        locked(&self.coming).remove(id);
        loaded
    }
}

/// Values by key, bounded by their bytes: what was not asked for the longest goes first.
struct Kept<K, V> {
    most: u64,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    values: HashMap<K, Value<V>>,
    /// Keys in the order of their last use.
    order: BTreeMap<u64, K>,
    next: u64,
    bytes: u64,
}

struct Value<V> {
    value: Arc<V>,
    used: u64,
    bytes: u64,
}

impl<K: Hash + Eq + Copy, V> Kept<K, V> {
    fn new(most: u64) -> Self {
        let state = State { values: HashMap::new(), order: BTreeMap::new(), next: 0, bytes: 0 };
        Self { most, state: Mutex::new(state) }
    }

    fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut guard = locked(&self.state);
        let State { values, order, next, .. } = &mut *guard;
        let found = values.get_mut(key)?;
        order.remove(&found.used);
        order.insert(*next, *key);
        found.used = *next;
        *next += 1;
        Some(Arc::clone(&found.value))
    }

    fn insert(&self, key: K, value: &Arc<V>, bytes: u64) {
        let mut guard = locked(&self.state);
        let State { values, order, next, bytes: sum } = &mut *guard;
        let new = Value { value: Arc::clone(value), used: *next, bytes };
        order.insert(*next, key);
        *next += 1;
        *sum += bytes;
        if let Some(before) = values.insert(key, new) {
            order.remove(&before.used);
            *sum -= before.bytes;
        }
        while *sum > self.most {
            let Some((_, oldest)) = order.pop_first() else { break };
            *sum -= values.remove(&oldest).map_or(0, |gone| gone.bytes);
        }
    }
}

/// The pages of a layer's index, kept in the mount's cache once they were verified.
pub struct KeptPages {
    stored: Arc<MountedLayer>,
    caches: Arc<Caches>,
}

impl KeptPages {
    /// Of this layer, in these caches.
    pub const fn new(stored: Arc<MountedLayer>, caches: Arc<Caches>) -> Self {
        Self { stored, caches }
    }
}

impl PageSource for KeptPages {
    type Error = StoreError;

    fn read_page(&self, page: u32, out: &mut [u8; PAGE_SIZE]) -> Result<(), StoreError> {
        self.stored.read_page_into(page, out)
    }

    fn kept(&self, page: u32) -> Option<Arc<Page>> {
        self.caches.pages.get(&(self.stored.id, page))
    }

    fn keep(&self, page: u32, bytes: &Arc<Page>) {
        self.caches.pages.insert((self.stored.id, page), bytes, PAGE_SIZE as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ChunkId {
        ChunkId::from_bytes([number; 32])
    }

    fn load(caches: &Caches, number: u8, length: usize) -> bool {
        let mut loaded = false;
        let chunk = caches.chunk(&id(number), || {
            loaded = true;
            Ok::<_, ()>(vec![number; length])
        });
        assert_eq!(*chunk.unwrap(), vec![number; length]);
        loaded
    }

    #[test]
    fn a_chunk_is_loaded_once_and_the_bound_holds() {
        let caches = Caches::new(1 << 20);
        assert!(load(&caches, 1, 100_000));
        assert!(!load(&caches, 1, 100_000));
        for number in 2..100 {
            load(&caches, number, 100_000);
            assert!(locked(&caches.chunks.state).bytes <= 1 << 20);
        }
    }

    #[test]
    fn what_was_used_last_stays() {
        let caches = Caches::new(300);
        for number in [1, 2, 3, 1, 4] {
            load(&caches, number, 100);
        }
        assert!(!load(&caches, 1, 100) && !load(&caches, 3, 100) && !load(&caches, 4, 100));
        assert!(load(&caches, 2, 100));
        assert_eq!(locked(&caches.chunks.state).order.len(), 3);
    }

    #[test]
    fn who_comes_second_waits_for_the_first() {
        let caches = Caches::new(0);
        let loads = std::sync::atomic::AtomicU32::new(0);
        let both = std::sync::Barrier::new(2);
        let reader = || {
            both.wait();
            caches.chunk(&id(1), || {
                loads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                // Until the other one waits for this.
                while Arc::strong_count(locked(&caches.coming).get(&id(1)).unwrap()) < 3 {
                    std::thread::yield_now();
                }
                Ok::<_, ()>(vec![1])
            })
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(reader);
            assert_eq!(*reader().unwrap(), [1]);
            assert_eq!(*other.join().unwrap().unwrap(), [1]);
        });
        assert_eq!(loads.into_inner(), 1);
    }

    #[test]
    fn without_room_everything_is_loaded_each_time() {
        let caches = Caches::new(0);
        assert!(load(&caches, 1, 1000));
        assert!(load(&caches, 1, 1000));
    }

    #[test]
    fn a_failure_is_not_kept() {
        let caches = Caches::new(1 << 20);
        assert_eq!(caches.chunk(&id(1), || Err("damaged")).err(), Some("damaged"));
        assert!(load(&caches, 1, 10));
    }
}
