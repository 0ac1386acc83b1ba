//! `root.json` (section 4.3): the keys of all top-level roles.

use serde_json::Value;

use super::{Envelope, Header, ROOT, RoleKeys, SNAPSHOT, TARGETS, TIMESTAMP, TufError, role_keys::read_keys};

/// The signed part of a root file. Parsing does not check its signatures: see [`super::Update`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    header: Header,
    consistent_snapshot: bool,
    root: RoleKeys,
    timestamp: RoleKeys,
    snapshot: RoleKeys,
    targets: RoleKeys,
}

impl Root {
    /// Reads the signed part.
    ///
    /// # Errors
    /// When it is not of the form of section 4.3.
    pub fn parse(envelope: &Envelope) -> Result<Self, TufError> {
        let header = envelope.header(ROOT)?;
        let fields = envelope.fields();
        let consistent_snapshot = match fields.get("consistent_snapshot") {
            None => false,
            Some(Value::Bool(consistent)) => *consistent,
            Some(_) => return Err(fields.error("consistent_snapshot is neither true nor false")),
        };
        let table = read_keys(&fields)?;
        let roles = fields.object("roles", "it has no roles")?;
        let role = |name| RoleKeys::read(&roles.object(name, "a top-level role is missing")?, &table);
        Ok(Self {
            header,
            consistent_snapshot,
            root: role(ROOT)?,
            timestamp: role(TIMESTAMP)?,
            snapshot: role(SNAPSHOT)?,
            targets: role(TARGETS)?,
        })
    }

    /// Version and expiry.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Whether files are named by version and hash (section 6.2).
    pub const fn consistent_snapshot(&self) -> bool {
        self.consistent_snapshot
    }

    /// Who signs root files and keyrings.
    pub const fn root(&self) -> &RoleKeys {
        &self.root
    }

    /// Who signs timestamps.
    pub const fn timestamp(&self) -> &RoleKeys {
        &self.timestamp
    }

    /// Who signs snapshots.
    pub const fn snapshot(&self) -> &RoleKeys {
        &self.snapshot
    }

    /// Who signs top-level targets.
    pub const fn targets(&self) -> &RoleKeys {
        &self.targets
    }
}
