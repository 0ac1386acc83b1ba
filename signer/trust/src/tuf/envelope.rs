//! The frame of every metadata file: `{"signed": ROLE, "signatures": […]}` (section 4.2.1), and what all roles share.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use plyos_ids::{KeyId, decode_hex};
use serde_json::{Map, Value};

use super::{TufError, fields::Fields, fields::malformed};
use crate::{canonical, key::ED25519_SIGNATURE_LEN, time};

/// A metadata file, taken apart and not yet checked.
#[derive(Debug, Clone)]
pub struct Envelope {
    role: String,
    signed: Map<String, Value>,
    canonical: Vec<u8>,
    signatures: Vec<(KeyId, [u8; ED25519_SIGNATURE_LEN])>,
}

/// What the signed part of every role says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 1 and up.
    pub version: u64,
    /// Seconds since 1970; from then on the file must not be trusted.
    pub expires: u64,
}

impl Envelope {
    /// Takes apart the file of `role`. Signatures that could be by no key that is known here are left out: they can
    /// only be missing from a threshold.
    ///
    /// # Errors
    /// When the bytes are not such a file.
    pub fn parse(role: &str, bytes: &[u8]) -> Result<Self, TufError> {
        let file: Value = serde_json::from_slice(bytes)
            .map_err(|error| TufError::NotJson { role: role.into(), reason: error.to_string() })?;
        let Value::Object(mut file) = file else {
            return Err(malformed(role, "it is not an object"));
        };
        let Some(signed @ Value::Object(_)) = file.remove("signed") else {
            return Err(malformed(role, "it has no signed part"));
        };
        let canonical =
            canonical::to_vec(&signed).map_err(|_| malformed(role, "it has a number that is no integer"))?;
        let signatures = Fields::new(role, &file)
            .array("signatures", "it has no list of signatures")?
            .iter()
            .map(|entry| {
                let entry = Fields::of(role, entry, "a signature is not an object")?;
                let key_id = entry.text("keyid", "a signature has no key id")?;
                let bytes = entry.text("sig", "a signature has no bytes")?;
                Ok(KeyId::parse(key_id).ok().zip(decode_hex(bytes).ok()))
            })
            .filter_map(Result::transpose)
            .collect::<Result<Vec<_>, TufError>>()?;
        let Value::Object(signed) = signed else {
            return Err(malformed(role, "it has no signed part"));
        };
        Ok(Self { role: role.into(), signed, canonical, signatures })
    }

    /// The file's name without `.json`.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The bytes that were signed.
    pub fn message(&self) -> &[u8] {
        &self.canonical
    }

    /// Who is said to have signed, and how.
    pub fn signatures(&self) -> &[(KeyId, [u8; ED25519_SIGNATURE_LEN])] {
        &self.signatures
    }

    /// The signed object.
    pub const fn signed(&self) -> &Map<String, Value> {
        &self.signed
    }

    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.role, &self.signed)
    }

    /// Checks `_type` and `spec_version` and reads version and expiry (section 4.3).
    ///
    /// # Errors
    /// When the file is of another role or specification, or a member is not of its form.
    pub fn header(&self, role_type: &str) -> Result<Header, TufError> {
        let fields = self.fields();
        let found = fields.text("_type", "it has no _type")?;
        if found != role_type {
            return Err(TufError::WrongType { role: self.role.clone(), found: found.into() });
        }
        // "Clients MUST verify that spec_version matches the expected version number": the major number decides, so
        // that a repository may move to 1.0.35 or 1.1 without locking out clients.
        let spec = fields.text("spec_version", "it has no spec_version")?;
        if !is_known_spec(spec) {
            return Err(TufError::SpecVersion { role: self.role.clone(), found: spec.into() });
        }
        let version = fields.positive("version", "its version is not a number from 1 on")?;
        let expires = fields.text("expires", "it has no expiry")?;
        let expires = time::parse(expires)
            .map_err(|_| fields.error("its expiry is not a time of the form YYYY-MM-DDTHH:MM:SSZ"))?;
        Ok(Header { version, expires })
    }
}

impl Header {
    /// The check for a freeze attack: the expiry must be later than the time at which the update began.
    pub(super) fn check_expiry(&self, role: &str, now: u64) -> Result<(), TufError> {
        if self.expires > now {
            Ok(())
        } else {
            Err(TufError::Expired { role: role.into(), at: self.expires })
        }
    }
}

/// `1.MINOR` or `1.MINOR.PATCH` (older repositories wrote two numbers).
fn is_known_spec(text: &str) -> bool {
    let mut parts = text.split('.');
    let known = parts.next() == Some("1");
    let rest: Vec<&str> = parts.collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    known && (1..=2).contains(&rest.len()) && rest.iter().all(numeric)
}
