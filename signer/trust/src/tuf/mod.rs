//! The catalog: the client side of The Update Framework, specification 1.0.34.
//!
//! [`Root`], [`Timestamp`], [`Snapshot`] and [`Targets`] are parsed metadata; [`Update`] is the client workflow
//! (sections 5.2 to 5.6) as a state machine without I/O and [`Catalog`] its result. Signatures, versions, hashes and
//! expiry are checked there, nowhere else.

mod catalog;
mod delegation;
mod envelope;
mod error;
mod fields;
mod limits;
mod meta;
mod role_keys;
mod root;
mod snapshot;
mod target;
mod targets;
mod timestamp;
mod update;

pub use catalog::{Catalog, Held};
pub use delegation::{Delegation, Paths, path_matches};
pub use envelope::{Envelope, Header};
pub use error::TufError;
pub use limits::Limits;
pub use meta::MetaFile;
pub use role_keys::RoleKeys;
pub use root::Root;
pub use snapshot::Snapshot;
pub use target::{TargetFile, TargetName, TargetNameError};
pub use targets::Targets;
pub use timestamp::Timestamp;
pub use update::{Step, Update};

/// The specification this follows. Metadata of the same major version is read.
pub const SPEC_VERSION: &str = "1.0.34";

/// Folder of the metadata below the catalog's URL.
pub const METADATA_DIR: &str = "metadata";
/// Folder of the targets below the catalog's URL.
pub const TARGETS_DIR: &str = "targets";
/// Extension member of `timestamp`: when it was signed.
pub const SIGNED_AT: &str = "x-plyos-signed-at";

/// Name of the root role and of its record.
pub const ROOT: &str = "root";
/// Name of the timestamp role and of its record.
pub const TIMESTAMP: &str = "timestamp";
/// Name of the snapshot role and of its record.
pub const SNAPSHOT: &str = "snapshot";
/// Name of the top-level targets role and of its record.
pub const TARGETS: &str = "targets";
