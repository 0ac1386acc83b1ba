//! The state directory: making it, opening it, and changing it step by step.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    rc::Rc,
};

use plyos_ids::BlobDigest;
use plyos_trust::{
    keyring::Keyring,
    tuf::{Envelope, ROOT, Root, TargetFile, TargetName},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    InitOptions, RepositoryError,
    document::{self, Holders, TopLevel},
    settings::Settings,
    state::{self, Offer, State},
};
use crate::{
    SecretKey, Signer as _,
    keys::{self, NoPassphrases, Passphrases, Protection, Role},
};

/// Root keys that a repository may begin with: one keyring carries a signature by each.
const MAX_ROOT_KEYS: u32 = 16;

/// A publisher's state directory, locked while this value lives.
#[derive(Debug)]
pub struct Workspace {
    pub(super) dir: PathBuf,
    pub(super) state: State,
    pub(super) passphrases: Box<dyn Passphrases>,
    /// Keys that were opened, by path.
    pub(super) unlocked: RefCell<BTreeMap<PathBuf, Rc<SecretKey>>>,
    /// Roles to be signed again whatever they say; empty but while that is done.
    pub(super) anew: BTreeSet<String>,
    /// Held for its lock.
    _lock: File,
}

impl Workspace {
    /// Begins a repository in `dir`: makes the keys (root, targets, snapshot, timestamp, layer), signs the first root,
    /// an empty catalog, and a keyring in which the layer key may sign every kind but `config`.
    ///
    /// # Errors
    /// When there is a repository, or keys, in the directory already.
    pub fn init(dir: &Path, options: &InitOptions) -> Result<Self, RepositoryError> {
        if !(1..=MAX_ROOT_KEYS).contains(&options.root_keys) {
            return Err(RepositoryError::Options("it may have 1 to 16 root keys"));
        }
        if !(1..=options.root_keys).contains(&options.root_threshold) {
            return Err(RepositoryError::Options(
                "the threshold must be 1 or more, and not above the number of root keys",
            ));
        }
        if state::settings_path(dir).exists() || dir.join("keys").exists() {
            return Err(RepositoryError::Exists(dir.into()));
        }
        let lock = lock(dir)?;
        let settings = Settings {
            plyos: Settings::KIND.into(),
            version: Settings::VERSION,
            root_keys: options.root_keys,
            expiries: options.expiries,
        };
        let key_dir = dir.join("keys");
        let protection = options.passphrase.as_ref().map_or(Protection::Owner, Protection::Passphrase);
        let make = |name: &str, role| keys::new_protected(&key_dir, name, role, protection).map(Rc::new);
        let root = settings
            .root_key_names()
            .iter()
            .map(|name| make(name, Role::Root))
            .collect::<Result<Vec<_>, _>>()?;
        let one = |name: &str, role| make(name, role).map(|key| Holders::one(key.public()));
        let body = document::root(&TopLevel {
            root: Holders {
                keys: root.iter().map(|key| *key.public()).collect(),
                threshold: options.root_threshold,
            },
            targets: one("targets", Role::Targets)?,
            snapshot: one("snapshot", Role::Snapshot)?,
            timestamp: one("timestamp", Role::Timestamp)?,
        });
        let layer = make("layer", Role::Layer)?;
        let expires = options.now.saturating_add(options.expiries.root);
        let root_file = document::sign(body, 1, expires, &root)?;
        let keyring = Self::first_keyring(layer.public(), &root_file, &root, options.now)?;
        let state = State {
            settings,
            keyring,
            offer: Offer::new(),
            unsent: BTreeSet::new(),
            signed: BTreeMap::from([(ROOT.into(), root_file.clone())]),
        };
        let passphrases: Box<dyn Passphrases> = match &options.passphrase {
            Some(passphrase) => Box::new(passphrase.clone()),
            None => Box::new(NoPassphrases),
        };
        let mut workspace = Self {
            dir: dir.into(),
            state,
            passphrases,
            unlocked: RefCell::default(),
            anew: BTreeSet::new(),
            _lock: lock,
        };
        workspace.write_public(&state::metadata_path(ROOT, 1), &root_file)?;
        workspace.publish_keyring()?;
        workspace.state.write_offer(dir)?;
        workspace.sign_first(options.now)?;
        // Last, because it is what makes the directory a repository.
        let text = serde_json::to_value(&workspace.state.settings).unwrap_or_else(|_| json!({}));
        state::write(&state::settings_path(dir), format!("{text}\n").as_bytes())?;
        Ok(workspace)
    }

    /// Opens the repository of `dir`.
    ///
    /// # Errors
    /// When there is none, another program works with it, or a file is damaged.
    pub fn open(dir: &Path) -> Result<Self, RepositoryError> {
        if !state::settings_path(dir).exists() {
            return Err(RepositoryError::NoRepository(dir.into()));
        }
        let lock = lock(dir)?;
        let (state, passphrases) = (State::read(dir)?, Box::new(NoPassphrases));
        let (unlocked, anew) = (RefCell::default(), BTreeSet::new());
        Ok(Self { dir: dir.into(), state, passphrases, unlocked, anew, _lock: lock })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// SHA-256 of the first root: what a user pins at first contact. It stays the same when keys are rotated.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn root_sha256(&self) -> Result<BlobDigest, RepositoryError> {
        let bytes = state::read(&self.dir.join(state::metadata_path(ROOT, 1)))?;
        Ok(BlobDigest::from_bytes(Sha256::digest(bytes).into()))
    }

    /// The newest root.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn root(&self) -> Result<Root, RepositoryError> {
        let bytes = self.state.signed.get(ROOT).map(Vec::as_slice).unwrap_or_default();
        Ok(Root::parse(&Envelope::parse(ROOT, bytes)?)?)
    }

    /// The layers that are offered, published or not.
    pub const fn offered(&self) -> &BTreeMap<TargetName, TargetFile> {
        &self.state.offer
    }

    /// The newest keyring, published or not.
    pub const fn keyring(&self) -> &Keyring {
        &self.state.keyring
    }

    /// Puts a target into the offer, or takes it out.
    pub(super) fn offer(
        &mut self,
        name: TargetName,
        file: Option<TargetFile>,
    ) -> Result<(), RepositoryError> {
        match file {
            Some(file) => self.state.offer.insert(name, file),
            None => self.state.offer.remove(&name),
        };
        self.state.write_offer(&self.dir)
    }

    /// Writes a file of the catalog and notes that it is to be uploaded.
    pub(super) fn write_public(&mut self, path: &str, bytes: &[u8]) -> Result<(), RepositoryError> {
        // Noted first: a path that is noted and not written is passed over, one that is not noted would never be sent.
        if self.state.unsent.insert(path.into()) {
            self.state.write_unsent(&self.dir)?;
        }
        state::write(&self.dir.join(path), bytes)
    }
}

/// Takes the directory for this program alone.
fn lock(dir: &Path) -> Result<File, RepositoryError> {
    let path = dir.join("lock");
    let failed = |error| RepositoryError::Io { doing: "write", path: path.clone(), error };
    fs::create_dir_all(dir).map_err(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(RepositoryError::Locked(dir.into())),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}
