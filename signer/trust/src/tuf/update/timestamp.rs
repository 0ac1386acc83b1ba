//! Section 5.4: update the timestamp role.

use alloc::vec::Vec;

use super::{Trusted, Update};
use crate::tuf::{Envelope, Root, SNAPSHOT, TIMESTAMP, Timestamp, TufError};

fn check(root: &Root, bytes: Vec<u8>) -> Result<Trusted<Timestamp>, TufError> {
    let envelope = Envelope::parse(TIMESTAMP, &bytes)?;
    let value = Timestamp::parse(&envelope)?;
    root.timestamp().verify(&envelope)?;
    Ok(Trusted { value, bytes })
}

impl Update {
    /// Trusts the held timestamp, if the trusted root still does; otherwise there is none to compare with.
    pub(super) fn hold_timestamp(&mut self) {
        self.timestamp = self.held.timestamp.take().and_then(|bytes| check(&self.root.value, bytes).ok());
    }

    /// Takes the timestamp, or refuses it.
    pub(super) fn take_timestamp(&mut self, bytes: Vec<u8>) -> Result<(), TufError> {
        // 5.4.1. The file was downloaded: these bytes, at most `Limits::timestamp_len`.
        // 5.4.2. Check for an arbitrary software attack.
        let new = check(&self.root.value, bytes)?;
        // 5.4.3. Check for a rollback attack.
        // 5.4.4. Check for a freeze attack; then the new timestamp is the trusted one.
        // 5.4.5. Persist it: `trusted_files`.
        let snapshot = match &self.timestamp {
            // Off-spec: goes on with the trusted timestamp where 5.4.3.1 ends the update without an error, because an
            // earlier one may have been cut off before its snapshot or targets came. With all of them held nothing
            // more is fetched.
            Some(trusted) if is_same_version(&trusted.value, &new.value)? => {
                trusted.value.header().check_expiry(TIMESTAMP, self.now)?;
                trusted.value.snapshot()
            }
            _ => {
                new.value.header().check_expiry(TIMESTAMP, self.now)?;
                self.timestamp.insert(new).value.snapshot()
            }
        };
        self.begin_snapshot(snapshot)
    }
}

/// 5.4.3: whether the new timestamp is the version that is trusted already; an older one is refused.
fn is_same_version(trusted: &Timestamp, new: &Timestamp) -> Result<bool, TufError> {
    let rollback =
        |role: &str, trusted, offered| Err(TufError::Rollback { role: role.into(), trusted, offered });
    // 5.4.3.1. The version of the timestamp. "In case they are equal, discard the new timestamp metadata".
    let (before, now) = (trusted.header().version, new.header().version);
    if now < before {
        return rollback(TIMESTAMP, before, now);
    }
    if now == before {
        return Ok(true);
    }
    // 5.4.3.2. The version of the snapshot that it announces.
    let (before, now) = (trusted.snapshot().version, new.snapshot().version);
    if now < before { rollback(SNAPSHOT, before, now) } else { Ok(false) }
}
