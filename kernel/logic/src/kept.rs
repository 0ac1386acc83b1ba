//! Values by key, bounded by bytes: what was not asked for the longest goes first.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// What an entry costs beside its value: key, nodes of both maps, the allocation's head. Without it, many small values would take
/// more memory than the bound says.
const OVERHEAD: u64 = 192;

/// A bounded map. Ordered maps, not hashed ones: a keyless hash over identities that an attacker chooses could be made slow.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    limit: u64,
    values: BTreeMap<K, Value<V>>,
    /// Keys in the order of their last use.
    order: BTreeMap<u64, K>,
    next: u64,
    bytes: u64,
    hits: u64,
    misses: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Value<V> {
    value: Arc<V>,
    used: u64,
    bytes: u64,
}

/// What a cache holds and how it was used since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Values that are kept.
    pub entries: usize,
    /// Their bytes, with what keeping them costs.
    pub bytes: u64,
    /// Most bytes.
    pub limit: u64,
    /// Questions that were answered.
    pub hits: u64,
    /// Questions that were not.
    pub misses: u64,
    /// Values that had to go.
    pub evicted: u64,
}

impl<K: Ord + Copy, V> Kept<K, V> {
    /// With room for so many bytes.
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            values: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            bytes: 0,
            hits: 0,
            misses: 0,
            evicted: 0,
        }
    }

    /// The value of a key, which becomes the one used last.
    pub fn get(&mut self, key: &K) -> Option<Arc<V>> {
        let Some(found) = self.values.get_mut(key) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        self.order.remove(&found.used);
        self.order.insert(self.next, *key);
        found.used = self.next;
        self.next += 1;
        Some(Arc::clone(&found.value))
    }

    /// Whether a key has a value; counts as no use.
    pub fn contains(&self, key: &K) -> bool {
        self.values.contains_key(key)
    }

    /// Keeps a value of `bytes` bytes; others go until all fit, and it itself when it alone does not.
    pub fn insert(&mut self, key: K, value: &Arc<V>, bytes: u64) {
        self.remove(&key);
        let bytes = bytes.saturating_add(OVERHEAD);
        if bytes > self.limit {
            self.evicted += 1;
            return;
        }
        while self.bytes.saturating_add(bytes) > self.limit {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.bytes -= self.values.remove(&oldest).map_or(0, |gone| gone.bytes);
            self.evicted += 1;
        }
        self.order.insert(self.next, key);
        self.values.insert(key, Value { value: Arc::clone(value), used: self.next, bytes });
        self.next += 1;
        self.bytes += bytes;
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        if let Some(gone) = self.values.remove(key) {
            self.order.remove(&gone.used);
            self.bytes -= gone.bytes;
        }
    }

    /// Forgets everything; what was counted stays.
    pub fn clear(&mut self) {
        (self.values, self.order, self.bytes) = (BTreeMap::new(), BTreeMap::new(), 0);
    }

    /// What it holds and how it was used.
    pub fn counts(&self) -> Counts {
        Counts {
            entries: self.values.len(),
            bytes: self.bytes,
            limit: self.limit,
            hits: self.hits,
            misses: self.misses,
            evicted: self.evicted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Room for three values of 100 bytes.
    fn three() -> Kept<u8, u8> {
        Kept::new(3 * (100 + OVERHEAD))
    }

    fn keys(kept: &Kept<u8, u8>) -> Vec<u8> {
        (0..=255).filter(|key| kept.contains(key)).collect()
    }

    #[test]
    fn what_was_not_used_the_longest_goes_first() {
        let mut kept = three();
        for key in [1, 2, 3] {
            kept.insert(key, &Arc::new(key), 100);
        }
        assert_eq!(kept.get(&1).as_deref(), Some(&1));
        kept.insert(4, &Arc::new(4), 100);
        assert_eq!(keys(&kept), [1, 3, 4]);
        kept.insert(5, &Arc::new(5), 101);
        assert_eq!(keys(&kept), [4, 5], "one byte too many takes a second one along");
        assert_eq!(kept.get(&3), None);
        let counts = kept.counts();
        assert_eq!((counts.hits, counts.misses, counts.evicted, counts.entries), (1, 1, 3, 2));
        assert_eq!(counts.bytes, 201 + 2 * OVERHEAD);
    }

    #[test]
    fn a_value_that_is_too_large_is_not_kept_and_drives_nobody_out() {
        let mut kept = three();
        kept.insert(1, &Arc::new(1), 100);
        kept.insert(2, &Arc::new(2), 3 * (100 + OVERHEAD));
        assert_eq!(keys(&kept), [1]);
        kept.insert(1, &Arc::new(1), u64::MAX);
        assert_eq!((keys(&kept), kept.counts().bytes), (Vec::new(), 0), "nor does the old value stay");
    }

    #[test]
    fn the_same_key_again_is_counted_once() {
        let mut kept = three();
        for _ in 0..10 {
            kept.insert(7, &Arc::new(7), 100);
        }
        assert_eq!((keys(&kept), kept.counts().evicted), ([7].into(), 0));
        kept.remove(&7);
        assert_eq!((kept.counts().bytes, kept.order.len()), (0, 0));
    }
}
