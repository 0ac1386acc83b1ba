//! Section 5.3: update the root role.

use alloc::vec::Vec;

use super::{Stage, Trusted, Update};
use crate::tuf::{Envelope, ROOT, Root, TufError};

impl Update {
    /// Takes version N + 1 of the root, or refuses it.
    pub(super) fn take_root(&mut self, bytes: Vec<u8>) -> Result<(), TufError> {
        // 5.3.1. and 5.3.2. N is the version of the trusted root.
        let trusted = &self.root.value;
        let expected = trusted.header().version.saturating_add(1);
        // 5.3.3. Version N + 1 was downloaded: these bytes, at most `Limits::root_len`.
        let envelope = Envelope::parse(ROOT, &bytes)?;
        let new = Root::parse(&envelope)?;
        // 5.3.4. Check for an arbitrary software attack: signed by a threshold of the trusted root's keys, and by a
        // threshold of its own.
        trusted.root().verify(&envelope)?;
        new.root().verify(&envelope)?;
        // 5.3.5. Check for a rollback attack: exactly N + 1.
        let found = new.header().version;
        if found != expected {
            return Err(TufError::WrongVersion { role: ROOT.into(), expected, found });
        }
        // 5.3.6. Its expiry does not matter yet.
        // 5.3.11., first half: see `end_of_roots`. Each step of the chain is looked at, so that keys that were changed
        // and changed back are seen.
        self.rotated |= new.timestamp().rotated_since(trusted.timestamp())
            || new.snapshot().rotated_since(trusted.snapshot());
        // 5.3.7. Set the trusted root to the new one. 5.3.8. Persist it: `trusted_files`.
        self.root = Trusted { value: new, bytes };
        // 5.3.9. Repeat, unless (5.3.3.) more than `Limits::root_versions` were downloaded.
        self.roots_followed = self.roots_followed.saturating_add(1);
        if self.roots_followed >= self.limits.root_versions { self.end_of_roots() } else { Ok(()) }
    }

    /// Goes on from the newest root there is.
    pub(super) fn end_of_roots(&mut self) -> Result<(), TufError> {
        // 5.3.10. Check for a freeze attack: the trusted root must not have expired.
        self.root.value.header().check_expiry(ROOT, self.now)?;
        // 5.3.11. If the timestamp and / or snapshot keys have been rotated, delete the trusted timestamp and snapshot,
        // to recover from fast-forward attacks.
        if self.rotated {
            self.held.timestamp = None;
            self.held.snapshot = None;
        }
        // 5.3.12. Whether consistent snapshots are used is read from the trusted root wherever a file is named.
        self.hold_timestamp();
        self.stage = Stage::Timestamp;
        Ok(())
    }
}
