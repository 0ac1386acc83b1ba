//! Why metadata was refused.

use alloc::string::String;

use plyos_ids::KeyId;

use super::TargetNameError;
use crate::time;

/// Why the catalog was refused. `role` is the metadata file it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TufError {
    /// Not JSON.
    #[error("cannot read {role} metadata: it is not JSON ({reason}); the repository may be damaged")]
    NotJson {
        /// Which file.
        role: String,
        /// What the JSON parser says.
        reason: String,
    },
    /// JSON, but not of the form that TUF gives it.
    #[error("cannot read {role} metadata: {what}; the repository may be damaged")]
    Malformed {
        /// Which file.
        role: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Of a version of TUF that is not known here.
    #[error("{role} metadata is of TUF version {found:?}, and this program reads 1.x; update this program")]
    SpecVersion {
        /// Which file.
        role: String,
        /// Its `spec_version`.
        found: String,
    },
    /// The file of another role.
    #[error("{role} metadata was asked for and {found:?} metadata came; the repository may be under attack")]
    WrongType {
        /// Which file.
        role: String,
        /// Its `_type`.
        found: String,
    },
    /// Older than its signer allows (a freeze attack, or a repository that nobody looks after).
    #[error("{role} metadata expired on {}; check this machine's clock, then ask the publisher to sign again", time::print(*.at))]
    Expired {
        /// Which file.
        role: String,
        /// When: seconds since 1970.
        at: u64,
    },
    /// Not signed by enough of the role's keys; several signatures by one key count once.
    #[error(
        "{role} metadata has {found} valid signatures and needs {needed}; the repository may be under attack"
    )]
    Threshold {
        /// Which file.
        role: String,
        /// Different keys whose signatures hold.
        found: usize,
        /// The role's threshold.
        needed: u32,
    },
    /// An older version than the one seen before.
    #[error(
        "{role} metadata has version {offered}, older than version {trusted} which was seen before; the repository may be under attack"
    )]
    Rollback {
        /// Which file.
        role: String,
        /// Version seen before.
        trusted: u64,
        /// Version offered now.
        offered: u64,
    },
    /// A file that the snapshot listed before is listed no more.
    #[error(
        "the snapshot no longer lists {role}.json, which it did before; the repository may be under attack"
    )]
    Dropped {
        /// Which file.
        role: String,
    },
    /// The version in the file is not the one that was announced (mix and match, or a gap in the chain of roots).
    #[error(
        "{role} metadata has version {found} where version {expected} was announced; the repository may be changing, try again"
    )]
    WrongVersion {
        /// Which file.
        role: String,
        /// Version that was announced.
        expected: u64,
        /// Version in the file.
        found: u64,
    },
    /// The file is not the one whose hash was announced.
    #[error(
        "{role} metadata is not the file whose hash was announced; the repository may be changing, try again"
    )]
    WrongHash {
        /// Which file.
        role: String,
    },
    /// The file is longer or shorter than announced.
    #[error(
        "{role} metadata has {found} bytes where {expected} were announced; the repository may be changing, try again"
    )]
    WrongLength {
        /// Which file.
        role: String,
        /// Bytes that were announced.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// Longer than a client reads, whoever signed it.
    #[error("{role} metadata has more than {limit} bytes; it is not read")]
    TooLong {
        /// Which file.
        role: String,
        /// Most bytes that are read.
        limit: u64,
    },
    /// The repository does not have it.
    #[error("the repository has no {path}; check its address")]
    Missing {
        /// Path below the catalog's URL.
        path: String,
    },
    /// The file that should list it does not.
    #[error("the snapshot or timestamp does not list {role}.json; the repository may be damaged")]
    Unlisted {
        /// Which file.
        role: String,
    },
    /// More delegated roles than a client follows.
    #[error("the targets role delegates to {found} roles and {limit} are followed")]
    TooManyDelegations {
        /// Delegations in the file.
        found: usize,
        /// Most that are followed.
        limit: usize,
    },
    /// A key is listed under an identity that is not its own.
    #[error(
        "{role} metadata lists a key as {key_id} and that is not its identity; the repository may be under attack"
    )]
    KeyId {
        /// Which file.
        role: String,
        /// Under which identity.
        key_id: KeyId,
    },
    /// A target's name could not be a path.
    #[error("{role} metadata names a target badly: {reason}")]
    TargetName {
        /// Which file.
        role: String,
        /// Why.
        reason: TargetNameError,
    },
    /// A file was supplied that was not asked for: a mistake of the caller.
    #[error("the update has ended, and more metadata was supplied")]
    NotAsked,
}
