//! Section 5.6: update the targets role, and what it delegates to.
//!
//! Off-spec: step 5.6.7 searches for one target and fetches delegated roles until it is found. Here all delegated roles
//! are fetched, so that targets can be listed and dependencies solved without a network, and the search is done once for
//! every name. It finds what the specification's search would find, with one difference: a delegated role that cannot be
//! had or verified ends the update, where the search would report one target as not found.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Stage, Trusted, Update};
use crate::tuf::{
    Catalog, Delegation, Envelope, MetaFile, RoleKeys, TARGETS, TargetFile, TargetName, Targets, TufError,
};

/// Steps 5.6.2 to 5.6.5 for a targets file of any role.
fn check(
    role: &str,
    keys: &RoleKeys,
    announced: MetaFile,
    bytes: Vec<u8>,
    now: u64,
    max_delegations: usize,
) -> Result<Trusted<Targets>, TufError> {
    // 5.6.2. Check against snapshot role's targets hash, and length.
    announced.check(role, &bytes)?;
    // 5.6.3. Check for an arbitrary software attack.
    let envelope = Envelope::parse(role, &bytes)?;
    let value = Targets::parse(&envelope, max_delegations)?;
    keys.verify(&envelope)?;
    // 5.6.4. Check against snapshot role's targets version.
    announced.check_version(role, value.header().version)?;
    // 5.6.5. Check for a freeze attack; then the new file is the trusted one.
    value.header().check_expiry(role, now)?;
    Ok(Trusted { value, bytes })
}

/// Whether held bytes serve: `None` when the file must be fetched. An expired one is an error, because fetching would
/// give the same bytes.
fn serves<T>(checked: Result<T, TufError>) -> Result<Option<T>, TufError> {
    match checked {
        Ok(file) => Ok(Some(file)),
        Err(error @ TufError::Expired { .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

impl Update {
    /// Uses the held targets if they are the ones that the snapshot announces, and asks for them otherwise.
    pub(super) fn begin_targets(&mut self) -> Result<(), TufError> {
        let announced = self.announced(TARGETS)?;
        self.stage = Stage::Targets(announced);
        match self.held.targets.take() {
            Some(bytes) => match serves(self.check_targets(bytes, announced))? {
                Some(held) => self.set_targets(held),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Takes the top-level targets, or refuses them.
    pub(super) fn take_targets(&mut self, bytes: Vec<u8>, announced: MetaFile) -> Result<(), TufError> {
        // 5.6.1. The file was downloaded: these bytes, at most as many as the snapshot or `Limits::targets_len` say.
        let new = self.check_targets(bytes, announced)?;
        // 5.6.6. Persist it: `trusted_files`.
        self.set_targets(new)
    }

    /// Takes the file of a delegated role, or refuses it.
    pub(super) fn take_delegated(
        &mut self,
        bytes: Vec<u8>,
        at: usize,
        announced: MetaFile,
    ) -> Result<(), TufError> {
        let new = self.check_delegated(bytes, at, announced)?;
        self.delegated.push(new);
        self.begin_delegated()
    }

    fn check_targets(&self, bytes: Vec<u8>, announced: MetaFile) -> Result<Trusted<Targets>, TufError> {
        let keys = self.root.value.targets();
        check(TARGETS, keys, announced, bytes, self.now, self.limits.delegations)
    }

    fn check_delegated(
        &self,
        bytes: Vec<u8>,
        at: usize,
        announced: MetaFile,
    ) -> Result<Trusted<Targets>, TufError> {
        // "Delegated target roles are authorized by the keys listed in the directly delegating target role."
        let delegation = self.delegation(at).ok_or(TufError::NotAsked)?;
        check(&delegation.name, &delegation.keys, announced, bytes, self.now, self.limits.delegations)
    }

    fn set_targets(&mut self, targets: Trusted<Targets>) -> Result<(), TufError> {
        self.targets = Some(targets);
        self.begin_delegated()
    }

    fn delegation(&self, at: usize) -> Option<&Delegation> {
        self.targets.as_ref()?.value.delegations().get(at)
    }

    /// 5.6.7. Goes through the delegations in order of appearance: uses the held file where it serves, asks otherwise.
    ///
    /// 5.6.7.1. "An application-specific maximum number of roles": `Limits::delegations` at depth 1. What a delegated
    /// role delegates further is not visited, so that there are no cycles.
    fn begin_delegated(&mut self) -> Result<(), TufError> {
        loop {
            let at = self.delegated.len();
            let Some(delegation) = self.delegation(at) else {
                self.stage = Stage::Done;
                return Ok(());
            };
            let name = delegation.name.clone();
            let announced = self.announced(&name)?;
            self.stage = Stage::Delegated(at, announced);
            let Some(bytes) = self.held.delegated.remove(&name) else { return Ok(()) };
            let Some(held) = serves(self.check_delegated(bytes, at, announced))? else { return Ok(()) };
            self.delegated.push(held);
        }
    }

    /// The result, once everything is there.
    pub(super) fn catalog(&self) -> Option<Catalog> {
        let (timestamp, snapshot) = (self.timestamp.as_ref()?, self.snapshot.as_ref()?);
        let targets = &self.targets.as_ref()?.value;
        let mut files = self.trusted_files();
        // What was held of roles that are delegated to no more is of no use to the next update.
        let named = |role: &str| targets.delegations().iter().any(|delegation| delegation.name == role);
        files.retain(|role, _| {
            [super::ROOT, super::TIMESTAMP, super::SNAPSHOT, TARGETS].contains(&role.as_str()) || named(role)
        });
        Some(Catalog {
            root: self.root.value.clone(),
            timestamp: timestamp.value.clone(),
            snapshot: snapshot.value.clone(),
            targets: self.search_all(targets),
            signed_at: timestamp.value.signed_at(),
            expires: self
                .delegated
                .iter()
                .map(|file| file.value.header().expires)
                .chain(
                    [
                        self.root.value.header(),
                        timestamp.value.header(),
                        snapshot.value.header(),
                        targets.header(),
                    ]
                    .map(|header| header.expires),
                )
                .min()
                .unwrap_or_default(),
            files,
        })
    }

    /// 5.6.7., done for every name at once.
    fn search_all(&self, targets: &Targets) -> BTreeMap<TargetName, TargetFile> {
        // 5.6.7.1. If the top-level role has metadata about the target, the search ends with it.
        let mut found = targets.targets().clone();
        let delegations = targets.delegations();
        for (at, (delegation, file)) in delegations.iter().zip(&self.delegated).enumerate() {
            for (name, target) in file.value.targets() {
                // A role is asked only for names that its delegation covers; what else it lists is never seen.
                // 5.6.7.2.1. After a terminating delegation that covers the name no other is asked.
                // 5.6.7.2.2. The first delegation that has the target wins.
                let ended =
                    delegations.iter().take(at).any(|earlier| earlier.terminating && earlier.covers(name));
                if delegation.covers(name) && !ended && !found.contains_key(name) {
                    found.insert(name.clone(), target.clone());
                }
            }
        }
        found
    }
}
