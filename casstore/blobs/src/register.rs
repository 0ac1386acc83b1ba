//! The upload sessions that this server knows: who holds each, and how many are open.
//!
//! A session that is being taken up is a [`Claim`]; once it is an [`Upload`](crate::upload::Upload), that one has its lock. The
//! [`Census`] counts.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::error::UploadError;
use crate::keys::DataId;
use crate::progress::Progress;
use crate::staged_file::{self, file_name};
use crate::upload::{Hold, Slot};

/// How long to wait for a request that still writes. A client that lost its connection may be back before the
/// server has noticed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The sessions that this server knows, by name. Entries cost little; files are open only while written.
#[derive(Debug, Default)]
pub(crate) struct Register {
    sessions: Mutex<HashMap<String, Session>>,
    census: Mutex<Census>,
}

type Session = Arc<AsyncMutex<Slot>>;

impl Register {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        lock(&self.sessions)
    }

    /// The lock of a session.
    fn session(&self, name: &str) -> Session {
        let away = || Arc::new(AsyncMutex::new(Slot::Away));
        Arc::clone(self.lock().entry(name.to_owned()).or_insert_with(away))
    }

    /// Forgets a session that has ended.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
        if let Some(own) = id_of(name) {
            lock(&self.census).ended(own);
        }
    }

    /// Counts a session that begins, unless `most` are open.
    pub(crate) fn begin(&self, own: DataId, most: usize) -> Result<(), UploadError> {
        let mut census = lock(&self.census);
        if census.open >= most {
            return Err(UploadError::TooMany);
        }
        census.began(own);
        Ok(())
    }

    /// A session that was counted could not begin.
    pub(crate) fn failed(&self, own: DataId) {
        lock(&self.census).ended(own);
    }

    /// Takes note of where a session that has begun is.
    pub(crate) fn insert(&self, name: String, slot: Slot) {
        self.lock().insert(name, Arc::new(AsyncMutex::new(slot)));
    }

    /// Whether somebody holds a session, or it is known how far it has come.
    pub(crate) fn knows(&self, own: &DataId) -> bool {
        let own = own.to_string();
        self.lock().keys().any(|name| name.ends_with(&own))
    }

    /// A sweep begins to look.
    pub(crate) fn look(&self) {
        lock(&self.census).look();
        // Whoever gave up waiting just as the holder let go has left an entry.
        self.lock().retain(|_, session| !is_unused(session));
    }

    /// A sweep has left these.
    pub(crate) fn found(&self, left: &HashSet<DataId>) {
        lock(&self.census).found(left);
    }

    /// Entries that there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Forgets a session of which nothing is known here and that nobody holds or waits for.
    fn forget_unused(&self, name: &str) {
        let mut register = self.lock();
        if register.get(name).is_some_and(is_unused) {
            register.remove(name);
        }
    }

    /// Forgets a session that the caller has put away, unless somebody waits for it.
    pub(crate) fn release(&self, name: &str) {
        let mut register = self.lock();
        // One is the register's, one the caller's.
        if register.get(name).is_some_and(|session| Arc::strong_count(session) <= 2) {
            register.remove(name);
        }
    }

    /// Removes a session and its files, unless a request holds it; says whether it did.
    pub(crate) fn sweep(&self, path: &Path) -> bool {
        let mut register = self.lock();
        if let Some(session) = register.get(file_name(path)) {
            let Ok(mut slot) = session.try_lock() else { return false };
            *slot = Slot::Spent;
        }
        register.remove(file_name(path));
        staged_file::remove(path)
    }
}

/// Whether an entry is of no use. Asked under the register's lock, so that nobody takes it up meanwhile.
fn is_unused(session: &Session) -> bool {
    Arc::strong_count(session) == 1 && session.try_lock().is_ok_and(|slot| !matches!(*slot, Slot::At(_)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is whole after any panic: each change to it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session that is being taken up. If that ends early, because it fails or because nobody waits for it any more, the session is as
/// it was, and a name of which nothing is known leaves no entry: names are for clients to make up.
pub(crate) struct Claim {
    register: Arc<Register>,
    pub(crate) name: String,
    /// While its lock is waited for.
    session: Option<Session>,
    slot: Option<OwnedMutexGuard<Slot>>,
}

impl Claim {
    pub(crate) async fn take(register: &Arc<Register>, name: String) -> Result<Self, UploadError> {
        let session = register.session(&name);
        let locked = Arc::clone(&session).lock_owned();
        let mut claim = Self { register: Arc::clone(register), name, session: Some(session), slot: None };
        let slot = tokio::time::timeout(PATIENCE, locked).await.map_err(|_| UploadError::Busy)?;
        (claim.session, claim.slot) = (None, Some(slot));
        Ok(claim)
    }

    pub(crate) fn is_spent(&self) -> bool {
        matches!(self.slot.as_deref(), None | Some(Slot::Spent))
    }

    /// Whether it is known how far the session has come.
    pub(crate) fn is_at(&self) -> bool {
        matches!(self.slot.as_deref(), Some(Slot::At(_)))
    }

    /// There is no such session; those who wait for it need not look.
    pub(crate) fn spend(mut self) {
        if let Some(slot) = self.slot.as_deref_mut() {
            *slot = Slot::Spent;
        }
    }

    /// The hold on the session, and how far it has come if that is known.
    pub(crate) fn hold(mut self, owner: String) -> Result<(Hold, Option<Progress>), UploadError> {
        let mut slot = self.slot.take().ok_or(UploadError::Unknown)?;
        let progress = match std::mem::replace(&mut *slot, Slot::Away) {
            Slot::At(progress) => Some(*progress),
            Slot::Away | Slot::Spent => None,
        };
        let (register, name) = (Arc::clone(&self.register), self.name.clone());
        Ok((Hold::Session { slot, register, name, owner }, progress))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The register's own must be the last.
        drop((self.slot.take(), self.session.take()));
        self.register.forget_unused(&self.name);
    }
}

/// How many sessions are open: what the last sweep found, and what this server has begun and ended since. So the sessions that
/// another server of a bucket begins count from the next sweep on.
#[derive(Debug, Default)]
struct Census {
    open: usize,
    /// What was begun (true) or ended while a sweep looks; nothing while none does.
    meanwhile: Option<HashMap<DataId, bool>>,
}

impl Census {
    fn began(&mut self, own: DataId) {
        self.open += 1;
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.insert(own, true);
        }
    }

    fn ended(&mut self, own: DataId) {
        self.open = self.open.saturating_sub(1);
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.insert(own, false);
        }
    }

    fn look(&mut self) {
        self.meanwhile = Some(HashMap::new());
    }

    /// Takes over what a sweep has found and left.
    fn found(&mut self, found: &HashSet<DataId>) {
        if let Some(meanwhile) = self.meanwhile.take() {
            let begun = meanwhile.values().filter(|open| **open).count();
            self.open = begun + found.iter().filter(|own| !meanwhile.contains_key(own)).count();
        }
    }
}

/// The session's own part of its name.
pub(crate) fn id_of(name: &str) -> Option<DataId> {
    name.split_once('-').and_then(|(_, own)| DataId::from_hex(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_during_a_look_counts_once() {
        let id = |n| DataId::from_bytes([n; 16]);
        let mut census = Census::default();
        (1..=3).for_each(|n| census.began(id(n)));
        census.look();
        census.began(id(4));
        census.began(id(5));
        census.ended(id(5));
        census.ended(id(1));
        // 1 and 4 were seen, 6 is another server's.
        census.found(&[1, 2, 3, 4, 6].map(id).into());
        assert_eq!(census.open, 4);
    }
}
