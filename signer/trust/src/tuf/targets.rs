//! `targets.json` and the files of delegated roles (section 4.5).

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Delegation, Envelope, Header, TARGETS, TargetFile, TargetName, TufError, fields::Fields};

/// The signed part of a targets file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    header: Header,
    targets: BTreeMap<TargetName, TargetFile>,
    delegations: Vec<Delegation>,
}

impl Targets {
    /// Reads the signed part; at most `max_delegations` roles may be delegated to.
    ///
    /// # Errors
    /// When it is not of the form of section 4.5.
    pub fn parse(envelope: &Envelope, max_delegations: usize) -> Result<Self, TufError> {
        let header = envelope.header(TARGETS)?;
        let fields = envelope.fields();
        let role = fields.role();
        let targets = fields
            .object("targets", "it has no targets")?
            .iter()
            .map(|(name, file)| {
                let name = TargetName::parse(name)
                    .map_err(|reason| TufError::TargetName { role: role.into(), reason })?;
                let file = Fields::of(role, file, "a target is not an object")?;
                Ok((name, TargetFile::read(&file)?))
            })
            .collect::<Result<BTreeMap<_, _>, TufError>>()?;
        let delegations = match fields.get("delegations") {
            None => Vec::new(),
            Some(_) => {
                let all = fields.object("delegations", "its delegations are not an object")?;
                Delegation::read_all(&all, max_delegations)?
            }
        };
        Ok(Self { header, targets, delegations })
    }

    /// Version and expiry.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The targets of this role itself.
    pub const fn targets(&self) -> &BTreeMap<TargetName, TargetFile> {
        &self.targets
    }

    /// Whom it delegates to, the most trusted first.
    pub fn delegations(&self) -> &[Delegation] {
        &self.delegations
    }
}
