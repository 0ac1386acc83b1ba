//! The keyring of a repository: who may sign which layers, and what is revoked.

use std::path::Path;

use plyos_ids::{Kind, KindSet};
use plyos_trust::{
    keyring::{self, Keyring, LayerKey, Statement},
    signatures::Signatures,
    tuf::{Envelope, ROOT, Root, TargetFile, TargetName},
};

use super::{RepositoryError, Workspace, state};
use crate::{
    SecretKey, Signer as _,
    keys::{self, Role},
};

/// Name of the keyring's target.
pub(super) const TARGET: &str = "keyring";

impl Workspace {
    /// Changes the keyring, raises its version and signs it with the root keys; [`Workspace::publish`] then offers it.
    ///
    /// # Errors
    /// When the result breaks a rule of the format, or a root key cannot be used.
    pub fn revise_keyring(
        &mut self,
        now: u64,
        change: impl FnOnce(&mut Statement),
    ) -> Result<(), RepositoryError> {
        let before = self.keyring().statement();
        let mut statement = before.clone();
        change(&mut statement);
        statement.version = before.version.saturating_add(1);
        statement.issued_at = now;
        self.state.keyring = sign(statement, &self.root_keys()?, &self.root()?)?;
        self.publish_keyring()
    }

    /// The first keyring: the layer key may sign every kind but `config`, whose keys are enrolled on each machine.
    pub(super) fn first_keyring(
        dir: &Path,
        root_file: &[u8],
        root_keys: &[SecretKey],
        now: u64,
    ) -> Result<Keyring, RepositoryError> {
        let layer = keys::open(&dir.join("keys").join("layer.key"), Role::Layer)?;
        let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Config);
        let key = LayerKey::new(layer.public(), kinds.fold(KindSet::default(), KindSet::with));
        let statement = Statement { version: 1, issued_at: now, keys: vec![key], revocations: Vec::new() };
        sign(statement, root_keys, &Root::parse(&Envelope::parse(ROOT, root_file)?)?)
    }

    /// Writes the keyring where the catalog has it, and then as the newest one.
    pub(super) fn publish_keyring(&mut self) -> Result<(), RepositoryError> {
        let bytes = self.state.keyring.emit()?;
        let (name, file) = self.keyring_target()?;
        self.write_public(&name.consistent_path(&file.sha256), &bytes)?;
        state::write(&state::keyring_path(&self.dir), &bytes)
    }

    /// The target that the keyring is.
    pub(super) fn keyring_target(&self) -> Result<(TargetName, TargetFile), RepositoryError> {
        let bytes = self.state.keyring.emit()?;
        Ok((TargetName::parse(TARGET)?, TargetFile::of(&bytes, serde_json::Value::Null)))
    }
}

/// Signs the statement and checks that clients would trust it.
fn sign(mut statement: Statement, keys: &[SecretKey], root: &Root) -> Result<Keyring, RepositoryError> {
    statement.normalise();
    let message = statement.message()?;
    let signatures = keys.iter().map(|key| key.sign(&message)).collect::<Result<Vec<_>, _>>()?;
    let keyring = Keyring::new(statement, Signatures::new(signatures)?)?;
    keyring::verify(&keyring, &root.root().keys(), root.root().threshold())?;
    Ok(keyring)
}
