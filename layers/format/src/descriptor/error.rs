//! Why a descriptor was refused.

use alloc::string::{String, ToString};

/// Why a descriptor, or a value for it, was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// More than 64 KiB.
    #[error("the descriptor is longer than 65536 bytes; shorten it")]
    TooLong,
    /// No JSON object.
    #[error("the descriptor is no JSON object")]
    Json,
    /// JSON in another spelling than the canonical one.
    #[error("the descriptor is not spelt canonically; write it with `plyos`")]
    NotCanonical,
    /// A required member is absent.
    #[error("the descriptor lacks `{0}`; add it")]
    Missing(&'static str),
    /// A member that is not known here.
    #[error("the descriptor has a member `{0}` that is not known here; remove it, or update this program")]
    Unknown(String),
    /// A value of another type or form.
    #[error("`{member}` in the descriptor is wrong, expected {expected}")]
    Value {
        /// The member.
        member: String,
        /// What may stand there.
        expected: &'static str,
    },
}

impl DescriptorError {
    pub(super) fn value(member: &str, expected: &'static str) -> Self {
        Self::Value { member: member.to_string(), expected }
    }
}
