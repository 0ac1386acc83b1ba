//! Names of targets, and what the catalog says of each.

use alloc::{borrow::ToOwned, format, string::String};
use core::fmt;

use plyos_ids::{BlobDigest, ManifestDigest};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{TARGETS_DIR, TufError, fields::Fields};

/// Bytes of a target's name: four parts of a layer's name with room to spare, and a bound for paths.
pub const MAX_NAME_LEN: usize = 512;

/// Why text is not a target's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetNameError {
    /// Empty, or longer than a path may be.
    #[error("a name has {0} bytes, and 1 to 512 are allowed")]
    Length(usize),
    /// `.`, `..` or an empty part: it could lead out of the folder of targets.
    #[error("{0:?} has an empty part, `.` or `..`")]
    Component(String),
    /// A character that URLs or file names would spell differently.
    #[error("{0:?} has a character other than letters, digits and `/+._~:-`")]
    Character(String),
}

/// The path of a target below the folder of targets: relative, and without a way out of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(String);

impl TargetName {
    /// Checks `text`.
    ///
    /// # Errors
    /// When it could not be a path below the folder of targets on every system.
    // Off-spec: section 4.5 recommends path-relative URL strings and excludes nothing. Names are used in URLs and on
    // disks, so only those are taken that are spelt alike in both; they are a superset of KIND/NAME/VERSION/ARCH.
    pub fn parse(text: &str) -> Result<Self, TargetNameError> {
        if !(1..=MAX_NAME_LEN).contains(&text.len()) {
            return Err(TargetNameError::Length(text.len()));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(TargetNameError::Component(text.into()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+._~:-".contains(&byte)) {
            return Err(TargetNameError::Character(text.into()));
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the file lies below the catalog's URL with consistent snapshots: the hash stands before the last part.
    pub fn consistent_path(&self, sha256: &BlobDigest) -> String {
        match self.0.rsplit_once('/') {
            Some((folder, last)) => format!("{TARGETS_DIR}/{folder}/{sha256:x}.{last}"),
            None => format!("{TARGETS_DIR}/{sha256:x}.{}", self.0),
        }
    }

    /// Where the file lies without consistent snapshots.
    pub fn plain_path(&self) -> String {
        format!("{TARGETS_DIR}/{}", self.0)
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What the catalog says of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFile {
    /// Bytes of the file.
    pub length: u64,
    /// Hash of the file.
    pub sha256: BlobDigest,
    /// What else is said of it: an object, or null when there is none. See [`crate::custom`].
    pub custom: Value,
}

impl TargetFile {
    /// Describes the file that `bytes` are.
    pub fn of(bytes: &[u8], custom: Value) -> Self {
        Self {
            length: bytes.len() as u64,
            sha256: BlobDigest::from_bytes(Sha256::digest(bytes).into()),
            custom,
        }
    }

    /// The hash as the identity of an OCI manifest, which every target but the keyring is.
    pub const fn manifest(&self) -> ManifestDigest {
        ManifestDigest::from_bytes(*self.sha256.as_bytes())
    }

    /// Whether `bytes` are this file (section 5.7.3).
    ///
    /// # Errors
    /// [`TufError::WrongLength`] or [`TufError::WrongHash`].
    pub fn check(&self, name: &TargetName, bytes: &[u8]) -> Result<(), TufError> {
        let found = bytes.len() as u64;
        if found != self.length {
            return Err(TufError::WrongLength { role: name.0.clone(), expected: self.length, found });
        }
        if Sha256::digest(bytes)[..] != self.sha256.as_bytes()[..] {
            return Err(TufError::WrongHash { role: name.0.to_owned() });
        }
        Ok(())
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, TufError> {
        let length = fields
            .get("length")
            .and_then(Value::as_u64)
            .ok_or_else(|| fields.error("a target has no length"))?;
        let sha256 = fields
            .object("hashes", "a target has no hashes")?
            .sha256("a target has no SHA-256 in lower-case digits")?;
        let custom = match fields.get("custom") {
            None => Value::Null,
            Some(custom @ Value::Object(_)) => custom.clone(),
            Some(_) => return Err(fields.error("a target's custom is not an object")),
        };
        Ok(Self { length, sha256: BlobDigest::from_bytes(sha256), custom })
    }
}
