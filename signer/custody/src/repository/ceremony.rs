//! Proposing a change of root metadata or keyring, saying what changes, and committing it when enough root keys signed.

use std::collections::BTreeMap;

use plyos_ids::KeyId;
use plyos_trust::{
    key::Signature,
    keyring::{self, Keyring, LayerKey, Revocation, Statement},
    signatures::Signatures,
    time,
    tuf::{Envelope, ROOT},
};
use serde_json::Value;

use super::{
    KeyringEdit, Proposal, ProposalError, RepositoryError, RootEdit, Workspace,
    document::{self, TopLevel},
    edits::check_thresholds,
    proposal::{Draft, parse_root},
    publish::Signing,
};

impl Workspace {
    /// Changes the keyring at once, by the root keys at hand; [`Workspace::publish`] then offers it.
    ///
    /// # Errors
    /// When a change makes no sense, or too few root keys are at hand: propose it then.
    pub fn edit_keyring(&mut self, edits: &[KeyringEdit], now: u64) -> Result<(), RepositoryError> {
        let statement = self.edited(edits)?;
        self.revise_keyring(now, |next| *next = statement)
    }

    /// The change as a proposal. When the root keys or their threshold change, the keyring is proposed along, to be signed
    /// by the new ones. No edit at all proposes a root that lives longer.
    ///
    /// # Errors
    /// When a change makes no sense.
    pub fn propose(
        &self,
        root_edits: Option<&[RootEdit]>,
        keyring_edits: &[KeyringEdit],
        now: u64,
    ) -> Result<Proposal, RepositoryError> {
        let before = self.root()?;
        let mut roles = TopLevel::of(&before);
        let root = match root_edits {
            Some(edits) => {
                edits.iter().try_for_each(|edit| edit.apply(&mut roles))?;
                check_thresholds(&roles)?;
                let expires = now.saturating_add(self.state.settings.expiries.root);
                let version = before.header().version.saturating_add(1);
                let after = document::signed(document::root(&roles), version, expires);
                Some(Draft { after, signatures: Vec::new() })
            }
            None => None,
        };
        let keyring = (roles.root != TopLevel::of(&before).root || !keyring_edits.is_empty()).then(|| {
            let statement = self.edited(keyring_edits)?;
            let after = self.next_keyring(now, |next| *next = statement);
            Ok::<_, RepositoryError>((self.keyring().clone(), Draft { after, signatures: Vec::new() }))
        });
        let under = self.state.signed.get(ROOT).cloned().unwrap_or_default();
        Ok(Proposal { repository: self.root_sha256()?, under, root, keyring: keyring.transpose()? })
    }

    /// Makes the proposed change, if enough root keys signed it, and signs everything below it; [`Workspace::publish`]
    /// then lists what a server must get.
    ///
    /// # Errors
    /// When the proposal is for another repository, outdated, or not signed by enough keys; or a key that the new root
    /// asks for is not at hand. Nothing has changed then.
    pub fn commit(&mut self, proposal: &Proposal, now: u64) -> Result<(), RepositoryError> {
        let own = self.root_sha256()?;
        if proposal.repository != own {
            let (found, wanted) = (proposal.repository.to_hex(), own.to_hex());
            return Err(ProposalError::OtherRepository { found, wanted }.into());
        }
        let before = self.root()?;
        let mut signing = Signing::default();
        let in_place = self.state.signed.get(ROOT).map(|bytes| Envelope::parse(ROOT, bytes)).transpose()?;
        let in_place = in_place.map(|envelope| Value::Object(envelope.signed().clone()));
        // A commit that was cut off after the root goes on from there.
        let draft = proposal.root.as_ref().filter(|draft| in_place.as_ref() != Some(&draft.after));
        if let Some(draft) = draft {
            let (envelope, new) = parse_root(&draft.after, &draft.signatures)?;
            next_version("root", new.header().version, before.header().version)?;
            // As a client follows it: signed by the keys of before, and by its own.
            before.root().verify(&envelope)?;
            new.root().verify(&envelope)?;
            signing.written.push((ROOT.into(), document::file(&draft.after, &draft.signatures)));
        }
        let kept = (self.state.signed.clone(), self.state.keyring.clone());
        let done = self.put_in_place(proposal, signing, now);
        if done.is_err() {
            (self.state.signed, self.state.keyring) = kept;
        }
        done
    }

    fn put_in_place(
        &mut self,
        proposal: &Proposal,
        mut signing: Signing,
        now: u64,
    ) -> Result<(), RepositoryError> {
        self.state.signed.extend(signing.written.iter().cloned());
        if let Some((_, draft)) = &proposal.keyring {
            next_version("keyring", draft.after.version, self.keyring().version())?;
            let root = self.root()?;
            let (keys, needed) = (root.root().keys(), root.root().threshold());
            // Signatures by other keys say nothing under this root.
            let by_root = |made: &&Signature| keys.iter().any(|key| key.key_id() == made.key_id);
            let signatures: Vec<_> = draft.signatures.iter().filter(by_root).cloned().collect();
            if signatures.is_empty() {
                return Err(keyring::Refusal::TooFewRootSignatures { found: 0, needed }.into());
            }
            self.state.keyring = Keyring::new(draft.after.clone(), Signatures::new(signatures)?)?;
            keyring::verify(&self.state.keyring, &keys, needed)?;
            signing.keyring_changed = true;
        }
        self.sign_under_root(now, signing)
    }

    fn edited(&self, edits: &[KeyringEdit]) -> Result<Statement, RepositoryError> {
        let mut statement = self.keyring().statement().clone();
        edits.iter().try_for_each(|edit| edit.apply(&mut statement))?;
        Ok(statement)
    }
}

fn next_version(what: &'static str, offered: u64, current: u64) -> Result<(), ProposalError> {
    if offered == current.saturating_add(1) {
        return Ok(());
    }
    Err(ProposalError::Outdated { what, offered, current })
}

impl Proposal {
    /// All that will hold afterwards, a line each. The file's word for what was before may be a lie, meant to hide a change;
    /// these lines are what is signed.
    ///
    /// # Errors
    /// When a document breaks a rule of its format.
    pub fn outcome(&self) -> Result<Vec<String>, ProposalError> {
        let (_, after) = self.roots()?;
        let mut lines = Vec::new();
        if self.root.is_some() {
            for (role, holders) in TopLevel::of(&after).roles() {
                let ids: Vec<String> = holders.keys.iter().map(|key| key.key_id().to_hex()).collect();
                lines.push(format!("{role}: {} must sign of {}", holders.threshold, ids.join(", ")));
            }
        }
        if let Some((_, draft)) = &self.keyring {
            let keys = draft.after.keys.iter();
            lines.extend(keys.map(|key| format!("keyring: key {} for {}", key.key_id, powers(key))));
            lines.extend(draft.after.revocations.iter().map(|entry| match entry {
                Revocation::Key(id) => format!("keyring: key {id} is revoked"),
                Revocation::Layer(id) => format!("keyring: layer {id} is revoked"),
            }));
        }
        Ok(lines)
    }

    /// What changes, a line each: what a holder of a root key reads before signing.
    ///
    /// # Errors
    /// When a document breaks a rule of its format.
    pub fn changes(&self) -> Result<Vec<String>, ProposalError> {
        let (before, after) = self.roots()?;
        let mut lines = vec![format!("repository {}", self.repository.to_hex())];
        if self.root.is_some() {
            let (old, new) = (before.header(), after.header());
            lines.push(format!("root version {} -> {}", old.version, new.version));
            lines.push(format!(
                "root valid until {} -> {}",
                time::print(old.expires),
                time::print(new.expires)
            ));
            let (old, new) = (TopLevel::of(&before), TopLevel::of(&after));
            for ((role, old), (_, new)) in old.roles().into_iter().zip(new.roles()) {
                let lacks = |list: &[plyos_trust::key::PublicKey], id: KeyId| {
                    list.iter().all(|key| key.key_id() != id)
                };
                let ids = |list: &[plyos_trust::key::PublicKey]| {
                    list.iter().map(|key| key.key_id()).collect::<Vec<_>>()
                };
                let added = ids(&new.keys).into_iter().filter(|id| lacks(&old.keys, *id));
                lines.extend(added.map(|id| format!("{role}: + key {id}")));
                let removed = ids(&old.keys).into_iter().filter(|id| lacks(&new.keys, *id));
                lines.extend(removed.map(|id| format!("{role}: - key {id}")));
                if old.threshold != new.threshold {
                    lines.push(format!("{role}: {} -> {} keys must sign", old.threshold, new.threshold));
                }
            }
        }
        if let Some((before, draft)) = &self.keyring {
            lines.push(format!("keyring version {} -> {}", before.version(), draft.after.version));
            lines.extend(keyring_changes(before.statement(), &draft.after));
        }
        Ok(lines)
    }
}

fn keyring_changes(before: &Statement, after: &Statement) -> Vec<String> {
    let by_id = |statement: &Statement| -> BTreeMap<KeyId, String> {
        statement.keys.iter().map(|key| (key.key_id, powers(key))).collect()
    };
    let (old, new) = (by_id(before), by_id(after));
    let mut lines = Vec::new();
    for (id, powers) in &new {
        match old.get(id) {
            None => lines.push(format!("keyring: + key {id} for {powers}")),
            Some(before) if before != powers => {
                lines.push(format!("keyring: key {id} for {before} -> for {powers}"));
            }
            Some(_) => {}
        }
    }
    lines.extend(old.keys().filter(|id| !new.contains_key(id)).map(|id| format!("keyring: - key {id}")));
    let revoked = |entry: &&Revocation| !before.revocations.contains(entry);
    lines.extend(after.revocations.iter().filter(revoked).map(|entry| match entry {
        Revocation::Key(id) => format!("keyring: revokes key {id}"),
        Revocation::Layer(id) => format!("keyring: revokes layer {id}"),
    }));
    let back = before.revocations.iter().filter(|entry| !after.revocations.contains(entry)).count();
    if back > 0 {
        lines.push(format!("keyring: {back} revocations taken back"));
    }
    lines
}

/// What a layer key may sign, in words.
pub fn powers(key: &LayerKey) -> String {
    let kinds = plyos_ids::Kind::ALL.into_iter().filter(|kind| key.kinds.contains(*kind));
    let kinds: Vec<&str> = kinds.map(plyos_ids::Kind::as_str).collect();
    let names = match key.prefixes.as_slice() {
        [] => "any name".into(),
        prefixes => format!("names {}*", prefixes.join("*, ")),
    };
    format!("{}; {names}; epoch {} and up", kinds.join(", "), key.least_epoch)
}
