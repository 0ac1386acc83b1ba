//! An opened directory: it reads the generation in which it was opened, to its end.

use super::mounted::Mounted;
use super::nodes::locked;
use plyos_namespace::namespace::{Found, NamespaceError, ReadDir};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Offsets of `.` and `..`; the children's follow.
pub const DOTS: u64 = 2;

/// An opened directory.
pub struct Listing {
    /// Its generation.
    pub mounted: Arc<Mounted>,
    /// What was found where it was opened.
    pub found: Found,
    /// The directory's number, for `.`.
    pub number: u64,
    /// Where the last answer ended: the offset of the next child, and the name before it.
    ended: Mutex<(u64, Vec<u8>)>,
}

impl Listing {
    /// Of a directory.
    pub const fn new(mounted: Arc<Mounted>, found: Found, number: u64) -> Self {
        Self { mounted, found, number, ended: Mutex::new((DOTS, Vec::new())) }
    }

    /// Calls `each` with the children from `offset` on, each with the offset of the next one, until it says that there is no
    /// room. To go on where the last answer ended costs a lookup; anywhere else all before it is read again.
    pub fn from(
        &self,
        offset: u64,
        mut each: impl FnMut(u64, Found) -> Result<Room, NamespaceError>,
    ) -> Result<(), NamespaceError> {
        let offset = offset.max(DOTS);
        let ended = locked(&self.ended).clone();
        let (mut next, mut last) = if ended.0 == offset { ended } else { (DOTS, Vec::new()) };
        for found in self.after(&last)? {
            let found = found?;
            let name = found.entry.name().to_vec();
            if next >= offset && each(next + 1, found)? == Room::Full {
                break;
            }
            next += 1;
            last = name;
        }
        *locked(&self.ended) = (next, last);
        Ok(())
    }

    fn after(&self, name: &[u8]) -> Result<ReadDir<'_, super::caches::KeptPages>, NamespaceError> {
        if name.is_empty() {
            self.mounted.namespace.children(&self.found)
        } else {
            self.mounted.namespace.children_after(&self.found, name)
        }
    }
}

/// Whether there is room for another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There may be.
    Some,
    /// This one was not taken.
    Full,
}

/// The opened directories.
#[derive(Default)]
pub struct Listings {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Listing>>>,
}

impl Listings {
    /// Keeps an opened directory; gives its handle.
    pub fn open(&self, listing: Listing) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        locked(&self.open).insert(handle, Arc::new(listing));
        handle
    }

    /// The one of a handle.
    pub fn get(&self, handle: u64) -> Option<Arc<Listing>> {
        locked(&self.open).get(&handle).cloned()
    }

    /// Lets go of it.
    pub fn close(&self, handle: u64) {
        let closed = locked(&self.open).remove(&handle);
        // Perhaps the last of its generation, which goes after the lock.
        drop(closed);
    }
}
