//! What one metadata file says of another: version, and often length and hash (section 4.4, METAFILES).

use sha2::{Digest, Sha256};

use super::{TufError, fields::Fields};

/// An entry of `meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaFile {
    /// 1 and up.
    pub version: u64,
    /// Bytes, if they are stated.
    pub length: Option<u64>,
    /// SHA-256, if it is stated.
    pub sha256: Option<[u8; 32]>,
}

impl MetaFile {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, TufError> {
        let version = fields.positive("version", "a listed file has no version from 1 on")?;
        let length = fields
            .get("length")
            .map(|length| length.as_u64().ok_or_else(|| fields.error("a listed length is not a number")))
            .transpose()?;
        // Off-spec: of the hashes only SHA-256 is read, and where hashes are stated it must be among them; the
        // specification leaves the functions open, and every repository in use writes this one.
        let sha256 = match fields.get("hashes") {
            None => None,
            Some(_) => Some(
                fields
                    .object("hashes", "listed hashes are not an object")?
                    .sha256("a listed file has no SHA-256 in lower-case digits")?,
            ),
        };
        Ok(Self { version, length, sha256 })
    }

    /// Most bytes to download, given what the client allows for the role.
    pub(super) fn max_len(&self, role_limit: u64, unhashed_limit: u64) -> u64 {
        let limit = if self.sha256.is_some() { role_limit } else { role_limit.min(unhashed_limit) };
        self.length.unwrap_or(limit).min(limit)
    }

    /// Checks length and hash, where they are stated.
    pub(super) fn check(&self, role: &str, bytes: &[u8]) -> Result<(), TufError> {
        let found = bytes.len() as u64;
        match self.length {
            Some(expected) if expected != found => {
                return Err(TufError::WrongLength { role: role.into(), expected, found });
            }
            _ => {}
        }
        match self.sha256 {
            Some(expected) if Sha256::digest(bytes)[..] != expected => {
                Err(TufError::WrongHash { role: role.into() })
            }
            _ => Ok(()),
        }
    }

    /// Checks the version in the file against the announced one.
    pub(super) fn check_version(&self, role: &str, found: u64) -> Result<(), TufError> {
        if found == self.version {
            return Ok(());
        }
        Err(TufError::WrongVersion { role: role.into(), expected: self.version, found })
    }
}
