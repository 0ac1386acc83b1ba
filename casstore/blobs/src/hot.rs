//! What was just read, kept in memory for a second: recipes with their inline bytes, links, and media types of manifests.
//!
//! What a digest names never changes, but whether it is *here* may, and another server may change it. So entries live one second,
//! a delete through this process evicts at once, and "it is not here" is never kept. Tags are never kept.
//!
//! Bytes are bounded by keeping two generations: when the young one is full, or a second old, it becomes the old one and what was
//! old is forgotten.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::digest::Digest;
use crate::manifests::MediaType;
use crate::names::RepositoryName;
use crate::recipe::Recipe;

/// How long an entry is believed.
const LIFE: Duration = Duration::from_secs(1);
/// What an entry costs besides the bytes of its recipe: key, pointers, its share of the table.
const OVERHEAD: usize = 512;
/// Each generation is one table behind one lock; several tables let several cores in.
const SHARDS: usize = 16;

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Recipe(Digest),
    Link(RepositoryName, Digest),
    Manifest(RepositoryName, Digest),
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Recipe(Arc<Recipe>),
    Link,
    Manifest(MediaType),
}

/// The cache; cloning gives another handle on it.
#[derive(Clone, Debug)]
pub(crate) struct Hot {
    shards: Arc<[Mutex<Shard>; SHARDS]>,
}

/// Allows an entry to be kept if nothing was evicted since it was given out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permit(u64);

#[derive(Debug)]
struct Shard {
    young: HashMap<Key, (Instant, Found)>,
    old: HashMap<Key, (Instant, Found)>,
    young_bytes: usize,
    most_bytes: usize,
    since: Instant,
    evictions: u64,
}

impl Hot {
    /// Keeps at most `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let now = Instant::now();
        // Half for each generation.
        let most_bytes = bytes / SHARDS / 2;
        let shard = |_| {
            let (young, old) = Default::default();
            Mutex::new(Shard { young, old, young_bytes: 0, most_bytes, since: now, evictions: 0 })
        };
        Self { shards: Arc::new(std::array::from_fn(shard)) }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let (Key::Recipe(digest) | Key::Link(_, digest) | Key::Manifest(_, digest)) = key;
        let [first, ..] = &*self.shards;
        let byte = digest.as_bytes().first().copied().unwrap_or_default();
        let shard = self.shards.get(usize::from(byte) % SHARDS).unwrap_or(first);
        // Each change to the tables is one call, so they are valid after any panic.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered; or leave to remember what is read now.
    pub(crate) fn get(&self, key: &Key) -> Result<Found, Permit> {
        let shard = self.shard(key);
        let (since, found) =
            shard.young.get(key).or_else(|| shard.old.get(key)).ok_or(Permit(shard.evictions))?;
        if since.elapsed() < LIFE { Ok(found.clone()) } else { Err(Permit(shard.evictions)) }
    }

    /// Leave to remember what is read from now on.
    pub(crate) fn permit(&self, key: &Key) -> Permit {
        Permit(self.shard(key).evictions)
    }

    /// Remembers what was read since `permit` was given.
    pub(crate) fn keep(&self, key: Key, found: Found, permit: Permit) {
        let mut shard = self.shard(&key);
        let bytes = cost(&found);
        if shard.evictions != permit.0 || bytes > shard.most_bytes {
            return;
        }
        let now = Instant::now();
        if shard.young_bytes + bytes > shard.most_bytes || shard.since + LIFE < now {
            shard.old = std::mem::take(&mut shard.young);
            (shard.young_bytes, shard.since) = (0, now);
        }
        match shard.young.entry(key) {
            // An older one of the same content, or a better recipe: the sizes may differ a little.
            Entry::Occupied(mut entry) => drop(entry.insert((now, found))),
            Entry::Vacant(entry) => {
                entry.insert((now, found));
                shard.young_bytes += bytes;
            }
        }
    }

    /// Forgets something, also if it is being read at this moment.
    pub(crate) fn evict(&self, key: &Key) {
        let mut shard = self.shard(key);
        shard.evictions += 1;
        shard.old.remove(key);
        if let Some((_, found)) = shard.young.remove(key) {
            shard.young_bytes = shard.young_bytes.saturating_sub(cost(&found));
        }
    }
}

fn cost(found: &Found) -> usize {
    OVERHEAD
        + match found {
            Found::Recipe(recipe) => recipe.memory(),
            Found::Link => 0,
            Found::Manifest(media_type) => media_type.as_str().len(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn recipe(content: &str) -> (Key, Found) {
        let recipe = Recipe::inline(Bytes::copy_from_slice(content.as_bytes())).unwrap();
        (Key::Recipe(Digest::of(content.as_bytes())), Found::Recipe(Arc::new(recipe)))
    }

    fn keep(hot: &Hot, content: &str) -> Key {
        let (key, found) = recipe(content);
        hot.keep(key.clone(), found, hot.permit(&key));
        key
    }

    #[test]
    fn what_is_kept_is_found_until_it_is_evicted() {
        let hot = Hot::new(1 << 20);
        let key = keep(&hot, "one");
        assert!(matches!(hot.get(&key), Ok(Found::Recipe(recipe)) if recipe.size() == 3));
        hot.evict(&key);
        assert!(hot.get(&key).is_err());
    }

    #[test]
    fn what_was_read_before_an_eviction_is_not_kept_after_it() {
        let hot = Hot::new(1 << 20);
        let (key, found) = recipe("one");
        let permit = hot.get(&key).unwrap_err();
        hot.evict(&key);
        hot.keep(key.clone(), found, permit);
        assert!(hot.get(&key).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let hot = Hot::new(64 * 1024);
        let keys: Vec<Key> = (0..10_000).map(|n| keep(&hot, &n.to_string())).collect();
        let kept = keys.iter().filter(|key| hot.get(key).is_ok()).count();
        assert!((1..=64 * 1024 / OVERHEAD).contains(&kept), "{kept}");
        let large = keep(&hot, &"x".repeat(60 * 1024));
        assert!(hot.get(&large).is_err(), "larger than its share");
    }

    #[test]
    fn an_entry_grows_old() {
        let hot = Hot::new(1 << 20);
        let key = keep(&hot, "one");
        let mut shard = hot.shard(&key);
        let past = Instant::now().checked_sub(LIFE).unwrap();
        shard.young.get_mut(&key).unwrap().0 = past;
        drop(shard);
        assert!(hot.get(&key).is_err());
    }
}
