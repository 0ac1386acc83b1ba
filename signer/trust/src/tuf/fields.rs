//! Reading the members of a JSON object: each either has the form that TUF gives it, or is an error that names it.

use alloc::{string::String, vec::Vec};

use plyos_ids::KeyId;
use serde_json::{Map, Value};

use super::TufError;

/// An object of the metadata file `role`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    role: &'a str,
    members: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(role: &'a str, members: &'a Map<String, Value>) -> Self {
        Self { role, members }
    }

    /// `value` as an object, or the error `what`.
    pub(super) fn of(role: &'a str, value: &'a Value, what: &'static str) -> Result<Self, TufError> {
        let members = value.as_object().ok_or_else(|| malformed(role, what))?;
        Ok(Self { role, members })
    }

    pub(super) const fn role(&self) -> &'a str {
        self.role
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.members.iter()
    }

    pub(super) fn error(&self, what: &'static str) -> TufError {
        malformed(self.role, what)
    }

    pub(super) fn text(&self, name: &str, what: &'static str) -> Result<&'a str, TufError> {
        self.get(name).and_then(Value::as_str).ok_or_else(|| self.error(what))
    }

    /// An integer of 1 or more.
    pub(super) fn positive(&self, name: &str, what: &'static str) -> Result<u64, TufError> {
        self.get(name).and_then(Value::as_u64).filter(|number| *number > 0).ok_or_else(|| self.error(what))
    }

    pub(super) fn object(&self, name: &str, what: &'static str) -> Result<Self, TufError> {
        Self::of(self.role, self.get(name).ok_or_else(|| self.error(what))?, what)
    }

    pub(super) fn array(&self, name: &str, what: &'static str) -> Result<&'a [Value], TufError> {
        self.get(name).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| self.error(what))
    }

    pub(super) fn texts(&self, name: &str, what: &'static str) -> Result<Vec<&'a str>, TufError> {
        self.array(name, what)?
            .iter()
            .map(|item| item.as_str().ok_or_else(|| self.error(what)))
            .collect::<Result<Vec<_>, _>>()
    }

    /// The member's SHA-256, in 64 lower-case digits.
    pub(super) fn sha256(&self, what: &'static str) -> Result<[u8; 32], TufError> {
        let digits = self.text("sha256", what)?;
        plyos_ids::decode_hex(digits).map_err(|_| self.error(what))
    }
}

pub(super) fn malformed(role: &str, what: &'static str) -> TufError {
    TufError::Malformed { role: role.into(), what }
}

pub(super) fn key_id(role: &str, text: &str) -> Result<KeyId, TufError> {
    KeyId::parse(text).map_err(|_| malformed(role, "a key id is not 64 lower-case hexadecimal digits"))
}
