//! The keyring of a repository: who may sign which layers, and what is revoked.

use std::rc::Rc;

use plyos_ids::{Kind, KindSet};
use plyos_trust::{
    custom::LayerCustom,
    key::PublicKey,
    keyring::{self, Keyring, LayerKey, Refusal, Statement},
    signatures::Signatures,
    tuf::{Envelope, ROOT, Root, TargetFile, TargetName},
};

use super::{RepositoryError, Workspace, layer::Powers, state};
use crate::{SecretKey, Signer as _, keys::Role};

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
        let statement = self.next_keyring(now, change);
        let root = self.root()?;
        self.state.keyring = sign(statement, &self.some_signers(Role::Root, root.root())?, &root)?;
        self.publish_keyring()
    }

    /// The next version of the keyring, changed and not signed.
    pub(super) fn next_keyring(&self, now: u64, change: impl FnOnce(&mut Statement)) -> Statement {
        let before = self.keyring().statement();
        let mut statement = before.clone();
        change(&mut statement);
        statement.version = before.version.saturating_add(1);
        statement.issued_at = now;
        statement.normalise();
        statement
    }

    /// Layers on offer that targets would refuse by the newest keyring, and why.
    ///
    /// # Errors
    /// When the workspace is damaged.
    pub fn refused_offers(&self) -> Result<Vec<(TargetName, Refusal)>, RepositoryError> {
        let root = self.root()?;
        let keyring = keyring::verify(self.keyring(), &root.root().keys(), root.root().threshold())?;
        let mut refused = Vec::new();
        for (name, file) in self.offered() {
            let custom = LayerCustom::parse(&file.custom)?;
            let powers = Powers::of(name, custom.certificate.statement.epoch)?;
            if let Err(refusal) =
                keyring.accept(&custom.certificate, custom.layer, powers.kind, powers.name, 0)
            {
                refused.push((name.clone(), refusal));
            }
        }
        Ok(refused)
    }

    /// The first keyring: the layer key may sign every kind but `config`, whose keys are enrolled on each machine.
    pub(super) fn first_keyring(
        layer: &PublicKey,
        root_file: &[u8],
        root_keys: &[Rc<SecretKey>],
        now: u64,
    ) -> Result<Keyring, RepositoryError> {
        let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Config);
        let key = LayerKey::new(layer, kinds.fold(KindSet::default(), KindSet::with));
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
fn sign(mut statement: Statement, keys: &[Rc<SecretKey>], root: &Root) -> Result<Keyring, RepositoryError> {
    statement.normalise();
    let message = statement.message()?;
    if keys.is_empty() {
        return Err(Refusal::TooFewRootSignatures { found: 0, needed: root.root().threshold() }.into());
    }
    let signatures = keys.iter().map(|key| key.sign(&message)).collect::<Result<Vec<_>, _>>()?;
    let keyring = Keyring::new(statement, Signatures::new(signatures)?)?;
    keyring::verify(&keyring, &root.root().keys(), root.root().threshold())?;
    Ok(keyring)
}
