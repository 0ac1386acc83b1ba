//! `snapshot.json` (section 4.4): the versions of all targets files that belong together.

use alloc::{collections::BTreeMap, string::String};

use super::{Envelope, Header, MetaFile, SNAPSHOT, TARGETS, TufError, fields::Fields};

/// The signed part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    header: Header,
    meta: BTreeMap<String, MetaFile>,
}

impl Snapshot {
    /// Reads the signed part.
    ///
    /// # Errors
    /// When it is not of the form of section 4.4.
    pub fn parse(envelope: &Envelope) -> Result<Self, TufError> {
        let header = envelope.header(SNAPSHOT)?;
        let fields = envelope.fields();
        let meta = fields
            .object("meta", "it lists no files")?
            .iter()
            .map(|(path, entry)| {
                let role = path
                    .strip_suffix(".json")
                    .ok_or_else(|| fields.error("it lists a file that is not .json"))?;
                let entry = Fields::of(fields.role(), entry, "what it says of a file is not an object")?;
                Ok((role.into(), MetaFile::read(&entry)?))
            })
            .collect::<Result<BTreeMap<_, _>, TufError>>()?;
        if !meta.contains_key(TARGETS) {
            return Err(TufError::Unlisted { role: TARGETS.into() });
        }
        Ok(Self { header, meta })
    }

    /// Version and expiry.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// What it says of each targets role, by the role's name.
    pub const fn meta(&self) -> &BTreeMap<String, MetaFile> {
        &self.meta
    }

    /// What it says of `role`.
    pub(super) fn of(&self, role: &str) -> Result<MetaFile, TufError> {
        self.meta.get(role).copied().ok_or_else(|| TufError::Unlisted { role: role.into() })
    }

    /// Checks that nothing goes back from `trusted` to this one (step 5.5.5).
    pub(super) fn check_rollback(&self, trusted: &Self) -> Result<(), TufError> {
        for (role, before) in &trusted.meta {
            let Some(now) = self.meta.get(role) else {
                return Err(TufError::Dropped { role: role.clone() });
            };
            if now.version < before.version {
                return Err(TufError::Rollback {
                    role: role.clone(),
                    trusted: before.version,
                    offered: now.version,
                });
            }
        }
        Ok(())
    }
}
