//! How far an upload has come: where its bytes lie so far, and their running hash. Pure.
//!
//! A session is a list of extents. New bytes lie one after the other in its own data object, which does not exist yet; what was
//! copied (the compose extension) lies in data objects of other blobs.

use std::io;

use crate::digest::Algorithm;
use crate::hasher::Hasher;
use crate::keys::DataId;
use crate::recipe::{Extent, MOST_EXTENTS};

/// How far an upload has come.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    hasher: Hasher,
    extents: Vec<Extent>,
    own: DataId,
    own_len: u64,
    received: u64,
    doubtful: bool,
}

impl Progress {
    /// Nothing yet; new bytes will lie in `own`.
    pub(crate) fn start(own: DataId, algorithm: Algorithm) -> Self {
        Self {
            hasher: Hasher::new(algorithm),
            extents: Vec::new(),
            own,
            own_len: 0,
            received: 0,
            doubtful: false,
        }
    }

    /// What was put away. `None` if it cannot be: new bytes are not one after the other.
    pub(crate) fn restore(own: DataId, hasher: Hasher, extents: Vec<Extent>) -> Option<Self> {
        let mut restored =
            Self { hasher, extents: Vec::new(), own, own_len: 0, received: 0, doubtful: false };
        for extent in extents {
            if extent.data == own && extent.offset != restored.own_len {
                return None;
            }
            restored.push(extent)?;
        }
        Some(restored)
    }

    /// Whether new bytes can be added.
    pub(crate) fn takes_more(&self) -> bool {
        let joins = |last: &Extent| last.data == self.own && last.offset + last.length == self.own_len;
        self.extents.len() < MOST_EXTENTS || self.extents.last().is_some_and(joins)
    }

    /// Takes note of new bytes, which lie at the end of the own data object.
    ///
    /// # Errors
    ///
    /// If there are too many extents; nothing is changed then. Hash and extents must never disagree.
    pub(crate) fn wrote(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        self.push(Extent { data: self.own, offset: self.own_len, length })
            .ok_or_else(|| io::Error::other("the upload has more parts than a blob may"))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// The same bytes, of which it is not certain that the disk has what was hashed: a power cut may lie between.
    pub(crate) fn doubted(mut self) -> Self {
        self.doubtful = true;
        self
    }

    /// Whether the bytes have to be hashed again before anyone relies on them.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Takes note of bytes that lie elsewhere; `hasher` has had them. `None`, and nothing is changed, if there are too many extents.
    pub(crate) fn copied(&mut self, extents: &[Extent], hasher: Hasher) -> Option<()> {
        let (count, last) = (self.extents.len(), self.extents.last().copied());
        let (own_len, received) = (self.own_len, self.received);
        if extents.iter().try_for_each(|extent| self.push(*extent)).is_none() {
            self.extents.truncate(count);
            if let (Some(place), Some(last)) = (self.extents.last_mut(), last) {
                *place = last;
            }
            (self.own_len, self.received) = (own_len, received);
            return None;
        }
        self.hasher = hasher;
        Some(())
    }

    fn push(&mut self, extent: Extent) -> Option<()> {
        let end = extent.offset.checked_add(extent.length)?;
        let received = self.received.checked_add(extent.length)?;
        let full = self.extents.len() >= MOST_EXTENTS;
        match self.extents.last_mut() {
            _ if extent.length == 0 => {}
            Some(last) if last.data == extent.data && last.offset + last.length == extent.offset => {
                last.length += extent.length;
            }
            _ if full => return None,
            _ => self.extents.push(extent),
        }
        if extent.data == self.own {
            self.own_len = end;
        }
        self.received = received;
        Some(())
    }

    /// The running hash.
    pub(crate) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Where the bytes lie, in order.
    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// The data object of the new bytes.
    pub(crate) fn own(&self) -> DataId {
        self.own
    }

    /// How many bytes are new.
    pub(crate) fn own_len(&self) -> u64 {
        self.own_len
    }

    /// How many bytes there are in all.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Whether all bytes are new.
    pub(crate) fn is_whole(&self) -> bool {
        self.own_len == self.received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: DataId = DataId::from_bytes([1; 16]);
    const OTHER: DataId = DataId::from_bytes([2; 16]);

    #[test]
    fn new_bytes_lie_one_after_the_other_around_copies() {
        let mut progress = Progress::start(OWN, Algorithm::Sha256);
        progress.wrote(b"one").unwrap();
        progress.wrote(b"two").unwrap();
        assert!(progress.is_whole());
        let copy = Extent { data: OTHER, offset: 7, length: 5 };
        progress.copied(&[copy], progress.hasher().clone()).unwrap();
        progress.wrote(b"").unwrap();
        progress.wrote(b"end").unwrap();
        let own = |offset, length| Extent { data: OWN, offset, length };
        assert_eq!(progress.extents(), [own(0, 6), copy, own(6, 3)]);
        assert_eq!((progress.received(), progress.own_len(), progress.is_whole()), (14, 9, false));

        let hasher = progress.hasher().clone();
        let restored = Progress::restore(OWN, hasher.clone(), progress.extents().to_vec()).unwrap();
        assert_eq!((restored.received(), restored.own_len()), (14, 9));
        assert!(Progress::restore(OWN, hasher.clone(), vec![own(1, 1)]).is_none());
        assert!(Progress::restore(OWN, hasher, vec![own(0, u64::MAX), copy]).is_none());
    }

    #[test]
    fn extents_are_bounded() {
        let mut progress = Progress::start(OWN, Algorithm::Sha256);
        let apart = |n: usize| Extent { data: OTHER, offset: n as u64 * 2, length: 1 };
        let most: Vec<_> = (0..MOST_EXTENTS).map(apart).collect();
        progress.copied(&most, progress.hasher().clone()).unwrap();
        // The first of two goes on where the last one ended.
        let next = Extent { data: OTHER, offset: MOST_EXTENTS as u64 * 2 - 1, length: 1 };
        assert!(progress.copied(&[next, apart(MOST_EXTENTS + 1)], progress.hasher().clone()).is_none());
        assert_eq!((progress.extents(), progress.received()), (&most[..], MOST_EXTENTS as u64));
        progress.copied(&[next], progress.hasher().clone()).unwrap();
        assert_eq!(progress.received(), MOST_EXTENTS as u64 + 1);

        // New bytes neither: they must not be hashed and then be nowhere.
        let before = progress.clone().hasher.finish();
        assert!(!progress.takes_more());
        progress.wrote(b"x").unwrap_err();
        assert_eq!(progress.received(), MOST_EXTENTS as u64 + 1);
        assert_eq!(progress.hasher.finish(), before);
    }
}
