//! Section 5.5: update the snapshot role.

use alloc::vec::Vec;

use super::{Stage, Trusted, Update};
use crate::tuf::{Envelope, MetaFile, Root, SNAPSHOT, Snapshot, TARGETS, TufError};

/// Parses the file and checks its signatures, and nothing else.
fn check_signatures(root: &Root, bytes: Vec<u8>) -> Result<Trusted<Snapshot>, TufError> {
    let envelope = Envelope::parse(SNAPSHOT, &bytes)?;
    let value = Snapshot::parse(&envelope)?;
    root.snapshot().verify(&envelope)?;
    Ok(Trusted { value, bytes })
}

impl Update {
    /// Uses the held snapshot if it is the one that the timestamp announces, and asks for it otherwise.
    pub(super) fn begin_snapshot(&mut self, announced: MetaFile) -> Result<(), TufError> {
        // A held snapshot that the root's keys did not sign is no trusted one.
        let held = self.held.snapshot.take().and_then(|bytes| check_signatures(&self.root.value, bytes).ok());
        self.snapshot = held;
        self.stage = Stage::Snapshot(announced);
        match &self.snapshot {
            Some(held)
                if announced.check(SNAPSHOT, &held.bytes).is_ok()
                    && announced.version == held.value.header().version =>
            {
                // Fetching it again would give the same bytes, so its expiry ends the update as 5.5.6 says.
                held.value.header().check_expiry(SNAPSHOT, self.now)?;
                self.begin_targets()
            }
            _ => Ok(()),
        }
    }

    /// Takes the snapshot, or refuses it.
    pub(super) fn take_snapshot(&mut self, bytes: Vec<u8>, announced: MetaFile) -> Result<(), TufError> {
        // 5.5.1. The file was downloaded: these bytes, at most as many as the timestamp or `Limits::snapshot_len` say.
        // 5.5.2. Check against timestamp role's snapshot hash, and length.
        announced.check(SNAPSHOT, &bytes)?;
        // 5.5.3. Check for an arbitrary software attack.
        let new = check_signatures(&self.root.value, bytes)?;
        // 5.5.4. Check against timestamp role's snapshot version.
        announced.check_version(SNAPSHOT, new.value.header().version)?;
        // 5.5.5. Check for a rollback attack: no targets file goes back, and none that was listed disappears.
        if let Some(trusted) = &self.snapshot {
            new.value.check_rollback(&trusted.value)?;
        }
        // 5.5.6. Check for a freeze attack; then the new snapshot is the trusted one.
        new.value.header().check_expiry(SNAPSHOT, self.now)?;
        // 5.5.7. Persist it: `trusted_files`.
        self.snapshot = Some(new);
        self.begin_targets()
    }

    /// What the trusted snapshot says of a targets role.
    pub(super) fn announced(&self, role: &str) -> Result<MetaFile, TufError> {
        match &self.snapshot {
            Some(snapshot) => snapshot.value.of(role),
            None => Err(TufError::Unlisted { role: TARGETS.into() }),
        }
    }
}
