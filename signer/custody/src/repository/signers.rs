//! The secret keys at hand: files of the folder `keys` whose public halves a role, or the keyring, names.
//!
//! Which file is called what does not matter, so that a key is replaced by putting another one into the folder and naming
//! it in the root metadata or the keyring. Each file is opened once.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use plyos_trust::{
    keyring::{LayerKey, Revocation},
    tuf::{RoleKeys, TargetName},
};

use super::{RepositoryError, Workspace, layer::Powers};
use crate::{
    SecretKey,
    keys::{self, KeyFileError, Label, Passphrases, Role},
};

/// Keys that sign together.
pub(super) type Signers = Vec<Rc<SecretKey>>;

impl Workspace {
    /// Takes passphrases of encrypted keys from here on from `passphrases`.
    #[must_use]
    pub fn with_passphrases(mut self, passphrases: Box<dyn Passphrases>) -> Self {
        self.passphrases = passphrases;
        self
    }

    /// Path of the key file `keys/NAME.key`.
    pub fn key_path(&self, name: &str) -> PathBuf {
        self.dir.join("keys").join(format!("{name}.key"))
    }

    /// Every key file of the folder `keys`, by name.
    ///
    /// # Errors
    /// When one cannot be read, or others can.
    pub fn key_files(&self) -> Result<Vec<(PathBuf, Label)>, RepositoryError> {
        let folder = self.dir.join("keys");
        let failed = |error| RepositoryError::Io { doing: "read", path: folder.clone(), error };
        let mut paths = std::fs::read_dir(&folder)
            .map_err(failed)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "key"));
        paths.sort();
        paths
            .into_iter()
            .map(|path| keys::look(&path).map(|label| (path, label)).map_err(Into::into))
            .collect()
    }

    /// The keys at hand of those that may sign for `role`, which must be enough.
    pub(super) fn signers(&self, role: Role, may_sign: &RoleKeys) -> Result<Signers, RepositoryError> {
        let found = self.some_signers(role, may_sign)?;
        let needed = may_sign.threshold();
        if u32::try_from(found.len()).is_ok_and(|found| found >= needed) {
            return Ok(found);
        }
        Err(RepositoryError::TooFewKeys { role, found: found.len(), needed })
    }

    /// The keys at hand of those that may sign for `role`, be they enough or not: the others may lie elsewhere.
    pub(super) fn some_signers(&self, role: Role, may_sign: &RoleKeys) -> Result<Signers, RepositoryError> {
        let allowed = may_sign.keys();
        let files = self.key_files()?.into_iter();
        let fitting = files.filter(|(_, label)| label.role == role && allowed.contains(&label.public));
        fitting.map(|(path, _)| self.unlock(role, &path)).collect()
    }

    /// The keys that certify a layer: those of `named`, or else all at hand that the keyring lets.
    pub(super) fn layer_signers(
        &self,
        name: &TargetName,
        powers: &Powers<'_>,
        named: &[PathBuf],
    ) -> Result<Signers, RepositoryError> {
        if !named.is_empty() {
            return named.iter().map(|path| self.unlock(Role::Layer, path)).collect();
        }
        let ring = self.keyring().statement();
        let lets = |key: &LayerKey| {
            key.may_sign_kind(powers.kind)
                && key.may_sign_name(powers.name)
                && key.least_epoch <= powers.epoch
                && !ring.revocations.contains(&Revocation::Key(key.key_id))
        };
        let allowed: Vec<_> = ring.keys.iter().filter(|key| lets(key)).map(|key| key.key_id).collect();
        let files = self.key_files()?.into_iter();
        let fitting =
            files.filter(|(_, label)| label.role == Role::Layer && allowed.contains(&label.public.key_id()));
        let found: Signers =
            fitting.map(|(path, _)| self.unlock(Role::Layer, &path)).collect::<Result<_, _>>()?;
        if found.is_empty() {
            return Err(RepositoryError::NoLayerKey { name: name.to_string(), epoch: powers.epoch });
        }
        Ok(found)
    }

    fn unlock(&self, role: Role, path: &Path) -> Result<Rc<SecretKey>, RepositoryError> {
        if let Some(key) = self.unlocked.borrow().get(path) {
            return Ok(Rc::clone(key));
        }
        let key = Rc::new(keys::open_with(path, role, &*self.passphrases).map_err(|error| match error {
            KeyFileError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                RepositoryError::NoSuchKey(path.display().to_string())
            }
            other => other.into(),
        })?);
        self.unlocked.borrow_mut().insert(path.to_owned(), Rc::clone(&key));
        Ok(key)
    }
}
