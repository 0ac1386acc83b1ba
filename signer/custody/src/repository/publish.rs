//! Signing what differs from the offer, and listing what a server must get.

use std::collections::{BTreeMap, BTreeSet};

use plyos_ids::Kind;
use plyos_trust::keyring;
use plyos_trust::tuf::{
    Catalog, Envelope, Limits, ROOT, RoleKeys, SNAPSHOT, TARGETS, TIMESTAMP, TargetFile, Targets,
};
use serde_json::Value;

use super::{
    RepositoryError, Workspace,
    document::{self, Body, Holders},
    signers::Signers,
    state,
};
use crate::keys::Role;

/// A file to be put below the catalog's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishFile {
    /// Path below the catalog's URL.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Whether the root may be signed again too: its keys may lie elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renew {
    AllButRoot,
    All,
}

/// A role's newest file.
struct Current {
    version: u64,
    expires: u64,
    body: Body,
}

/// Metadata files of one signing, in the order in which they are written.
#[derive(Default)]
pub(super) struct Signing {
    pub written: Vec<(String, Vec<u8>)>,
    /// Whether the keyring is another one than lies in the directory.
    pub keyring_changed: bool,
}

/// Who signs a role, and who may.
struct By {
    role: RoleKeys,
    keys: Signers,
}

impl Workspace {
    /// Signs every role that differs from the offer or has less than a third of its life left (the root excepted), and a
    /// new timestamp. Returns what a server lacks in the order in which it must be uploaded, the timestamp last; that is
    /// all that was written since [`Workspace::mark_published`] was last called.
    ///
    /// # Errors
    /// When a key cannot be used, or clients would refuse the result: nothing is published then.
    pub fn publish(&mut self, now: u64) -> Result<Vec<PublishFile>, RepositoryError> {
        self.sign(now, Renew::AllButRoot)?;
        self.unsent_files()
    }

    /// As [`Workspace::publish`], and gives `roles` new versions though they say nothing new: for names that a server
    /// already has with other bytes, left by a publisher that did not get to its end. Versions only ever rise, so
    /// leaving some out is allowed, but not for the root.
    ///
    /// # Errors
    /// As [`Workspace::publish`].
    pub fn publish_anew(&mut self, roles: &[&str], now: u64) -> Result<Vec<PublishFile>, RepositoryError> {
        for role in roles.iter().filter(|role| **role != ROOT && **role != TIMESTAMP) {
            self.anew.insert((*role).to_owned());
        }
        let signed = self.publish(now);
        self.anew.clear();
        signed
    }

    /// As [`Workspace::publish`], and signs the root again when it has less than a third of its life left.
    ///
    /// # Errors
    /// As [`Workspace::publish`].
    pub fn resign(&mut self, now: u64) -> Result<Vec<PublishFile>, RepositoryError> {
        self.sign(now, Renew::All)?;
        self.unsent_files()
    }

    /// Everything that an empty server needs for what is published, in the order in which it must be uploaded: manifests
    /// and keyring, every root, the roles of the kinds, targets, snapshot, timestamp.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn files(&self) -> Result<Vec<PublishFile>, RepositoryError> {
        self.live_paths()?.into_iter().map(|path| self.publish_file(path)).collect()
    }

    /// Notes that these files were uploaded, so that they are not listed by the next [`Workspace::publish`]. Call it when
    /// the upload has ended well; without it the next list is longer, and nothing is lost.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub fn mark_published(&mut self, uploaded: &[PublishFile]) -> Result<(), RepositoryError> {
        for file in uploaded {
            // A file that was written again since then is still to be sent.
            if self.publish_file(file.path.clone())?.bytes == file.bytes {
                self.state.unsent.remove(&file.path);
            }
            if file.path == state::metadata_path(TIMESTAMP, 0) {
                self.note_published(&file.bytes)?;
            }
        }
        self.state.write_unsent(&self.dir)
    }

    /// The first signing, when there is nothing but a root.
    pub(super) fn sign_first(&mut self, now: u64) -> Result<(), RepositoryError> {
        self.sign(now, Renew::AllButRoot)
    }

    fn sign(&mut self, now: u64, renew: Renew) -> Result<(), RepositoryError> {
        let mut signing = Signing::default();
        if renew == Renew::All {
            self.renew_root(now, &mut signing)?;
        }
        self.sign_under_root(now, signing)
    }

    /// Signs what the newest root asks for, after what `signing` holds already.
    pub(super) fn sign_under_root(&mut self, now: u64, mut signing: Signing) -> Result<(), RepositoryError> {
        let expiries = self.state.settings.expiries;
        let root = self.root()?;
        // Whoever signs for targets signs for the kinds too.
        let by = By { role: root.targets().clone(), keys: self.signers(Role::Targets, root.targets())? };
        let mut listed = BTreeMap::new();
        let kinds = self.kinds();
        for kind in &kinds {
            let body = document::kind_targets(&self.targets_of(*kind));
            let role = kind.as_str();
            listed.insert(role.into(), self.renew(role, body, now, expiries.targets, &by, &mut signing)?);
        }
        let (name, keyring) = self.keyring_target()?;
        let top_level = BTreeMap::from([(name.to_string(), keyring)]);
        let body = document::targets(&top_level, &kinds, &Holders::of(root.targets()));
        listed.insert(TARGETS.into(), self.renew(TARGETS, body, now, expiries.targets, &by, &mut signing)?);

        let by = By { role: root.snapshot().clone(), keys: self.signers(Role::Snapshot, root.snapshot())? };
        let body = document::snapshot(&listed);
        let (version, snapshot) = self.renew(SNAPSHOT, body, now, expiries.snapshot, &by, &mut signing)?;

        let keys = self.signers(Role::Timestamp, root.timestamp())?;
        let body = document::timestamp(version, &snapshot, now);
        let version = self.current(TIMESTAMP)?.map_or(0, |current| current.version) + 1;
        let timestamp = document::sign(body, version, now.saturating_add(expiries.timestamp), &keys)?;
        signing.written.push((TIMESTAMP.into(), timestamp));
        self.settle(signing, now)
    }

    /// Checks what was signed as a client would, and writes it, the timestamp last.
    fn settle(&mut self, signing: Signing, now: u64) -> Result<(), RepositoryError> {
        let mut signed = self.state.signed.clone();
        signed.extend(signing.written.iter().cloned());
        let catalog = Catalog::load(signed.clone(), now, Limits::default())?;
        let role = catalog.root.root();
        keyring::verify(&self.state.keyring, &role.keys(), role.threshold())?;
        // A cut after the root or the keyring leaves a state that the next signing completes.
        let (roots, others): (Vec<_>, Vec<_>) = signing.written.iter().partition(|(role, _)| role == ROOT);
        self.write_metadata(&roots)?;
        if signing.keyring_changed {
            self.publish_keyring()?;
        }
        self.write_metadata(&others)?;
        self.state.signed = signed;
        Ok(())
    }

    fn write_metadata(&mut self, files: &[&(String, Vec<u8>)]) -> Result<(), RepositoryError> {
        for (role, bytes) in files {
            let version = current(role, bytes)?.version;
            self.write_public(&state::metadata_path(role, version), bytes)?;
        }
        Ok(())
    }

    /// The role's file and version: the one there is, or a new one when it says something else or grows old.
    fn renew(
        &self,
        role: &str,
        body: Body,
        now: u64,
        lifetime: u64,
        by: &By,
        signing: &mut Signing,
    ) -> Result<(u64, Vec<u8>), RepositoryError> {
        let before = self.current(role)?;
        if let (Some(before), Some(bytes)) = (&before, self.state.signed.get(role))
            && before.body == body
            && !self.anew.contains(role)
            && !grows_old(before.expires, now, lifetime)
            // Else its keys were replaced since.
            && by.role.verify(&Envelope::parse(role, bytes)?).is_ok()
        {
            return Ok((before.version, bytes.clone()));
        }
        let version = before.map_or(0, |before| before.version) + 1;
        let bytes = document::sign(body, version, now.saturating_add(lifetime), &by.keys)?;
        signing.written.push((role.into(), bytes.clone()));
        Ok((version, bytes))
    }

    fn renew_root(&self, now: u64, signing: &mut Signing) -> Result<(), RepositoryError> {
        let lifetime = self.state.settings.expiries.root;
        let Some(before) = self.current(ROOT)?.filter(|root| grows_old(root.expires, now, lifetime)) else {
            return Ok(());
        };
        let keys = self.some_signers(Role::Root, self.root()?.root())?;
        let bytes = document::sign(before.body, before.version + 1, now.saturating_add(lifetime), &keys)?;
        signing.written.push((ROOT.into(), bytes));
        Ok(())
    }

    fn current(&self, role: &str) -> Result<Option<Current>, RepositoryError> {
        self.state.signed.get(role).map(|bytes| current(role, bytes)).transpose()
    }

    /// Kinds with a role: those of the offer, and those that had one, because a snapshot never drops a role.
    fn kinds(&self) -> Vec<Kind> {
        let offered: BTreeSet<Kind> =
            self.state.offer.keys().filter_map(|name| kind_of(name.as_str())).collect();
        let has_role = |kind: &Kind| offered.contains(kind) || self.state.signed.contains_key(kind.as_str());
        Kind::ALL.into_iter().filter(has_role).collect()
    }

    fn targets_of(&self, kind: Kind) -> BTreeMap<String, TargetFile> {
        let of_kind = self.state.offer.iter().filter(|(name, _)| kind_of(name.as_str()) == Some(kind));
        of_kind.map(|(name, file)| (name.to_string(), file.clone())).collect()
    }

    fn unsent_files(&self) -> Result<Vec<PublishFile>, RepositoryError> {
        let live = self.live_paths()?.into_iter().filter(|path| self.state.unsent.contains(path));
        live.map(|path| self.publish_file(path)).collect()
    }

    fn publish_file(&self, path: String) -> Result<PublishFile, RepositoryError> {
        let bytes = state::read(&self.dir.join(&path))?;
        Ok(PublishFile { path, bytes })
    }

    /// Paths of all that is published, in the order of upload.
    fn live_paths(&self) -> Result<Vec<String>, RepositoryError> {
        let (mut manifests, mut roles) = (Vec::new(), Vec::new());
        let kinds = Kind::ALL.into_iter().map(Kind::as_str);
        for role in kinds.chain([TARGETS]) {
            let Some(bytes) = self.state.signed.get(role) else { continue };
            let targets = Targets::parse(&Envelope::parse(role, bytes)?, Limits::default().delegations)?;
            manifests.extend(targets.targets().iter().map(|(name, file)| name.consistent_path(&file.sha256)));
            roles.push(role);
        }
        let newest_root = self.root()?.header().version;
        let roots = (1..=newest_root).map(|version| state::metadata_path(ROOT, version));
        let mut paths: Vec<String> = manifests.into_iter().chain(roots).collect();
        for role in roles.into_iter().chain([SNAPSHOT, TIMESTAMP]) {
            let version = self.current(role)?.map_or(0, |current| current.version);
            paths.push(state::metadata_path(role, version));
        }
        Ok(paths)
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    Kind::parse(name.split('/').next()?)
}

fn grows_old(expires: u64, now: u64, lifetime: u64) -> bool {
    expires <= now.saturating_add(lifetime / 3)
}

fn current(role: &str, bytes: &[u8]) -> Result<Current, RepositoryError> {
    let envelope = Envelope::parse(role, bytes)?;
    let role_type = match role {
        ROOT | TIMESTAMP | SNAPSHOT => role,
        _ => TARGETS,
    };
    let header = envelope.header(role_type)?;
    let body = document::body_of(&Value::Object(envelope.signed().clone()));
    Ok(Current { version: header.version, expires: header.expires, body })
}
