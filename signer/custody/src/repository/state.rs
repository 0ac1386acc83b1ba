//! What the state directory holds, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use plyos_ids::BlobDigest;
use plyos_trust::{
    keyring::Keyring,
    tuf::{METADATA_DIR, ROOT, TARGETS, TIMESTAMP, TargetFile, TargetName},
};
use serde_json::{Value, json};

use super::{RepositoryError, settings::Settings};
use crate::files::{self, Existing, Readers};

/// Layers that are to be offered.
pub(super) type Offer = BTreeMap<TargetName, TargetFile>;

/// Everything but the keys.
#[derive(Debug)]
pub(super) struct State {
    pub settings: Settings,
    pub keyring: Keyring,
    pub offer: Offer,
    /// Paths below the catalog's URL that were written and not yet said to be uploaded.
    pub unsent: BTreeSet<String>,
    /// The newest metadata file of each role.
    pub signed: BTreeMap<String, Vec<u8>>,
}

pub(super) fn settings_path(dir: &Path) -> PathBuf {
    dir.join("repository.json")
}

pub(super) fn keyring_path(dir: &Path) -> PathBuf {
    dir.join("keyring")
}

fn offer_path(dir: &Path) -> PathBuf {
    dir.join("offer.json")
}

fn unsent_path(dir: &Path) -> PathBuf {
    dir.join("unsent.json")
}

/// Reads a file that must be there.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, RepositoryError> {
    fs::read(path).map_err(|error| RepositoryError::Io { doing: "read", path: path.into(), error })
}

/// Replaces a file in one step.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), RepositoryError> {
    files::write(path, bytes, Readers::Everybody, Existing::Replace).map_err(|error| RepositoryError::Io {
        doing: "write",
        path: path.into(),
        error,
    })
}

pub(super) fn malformed(path: &Path, reason: impl ToString) -> RepositoryError {
    RepositoryError::Malformed { path: path.into(), reason: reason.to_string() }
}

/// Name of a metadata file below the catalog's URL; the timestamp alone has no version.
pub(super) fn metadata_path(role: &str, version: u64) -> String {
    if role == TIMESTAMP {
        format!("{METADATA_DIR}/{role}.json")
    } else {
        format!("{METADATA_DIR}/{version}.{role}.json")
    }
}

impl State {
    /// Reads the directory.
    pub(super) fn read(dir: &Path) -> Result<Self, RepositoryError> {
        let path = settings_path(dir);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RepositoryError::NoRepository(dir.into()));
            }
            result => {
                result.map_err(|error| RepositoryError::Io { doing: "read", path: path.clone(), error })?
            }
        };
        let settings: Settings = serde_json::from_slice(&text).map_err(|error| malformed(&path, error))?;
        if settings.plyos != Settings::KIND || settings.version != Settings::VERSION {
            return Err(malformed(&path, "it is of another kind or version"));
        }
        let path = keyring_path(dir);
        let keyring = Keyring::parse(&read(&path)?).map_err(|error| malformed(&path, error))?;
        Ok(Self {
            settings,
            keyring,
            offer: read_offer(&offer_path(dir))?,
            unsent: read_unsent(&unsent_path(dir))?,
            signed: read_signed(dir)?,
        })
    }

    /// Writes the offer.
    pub(super) fn write_offer(&self, dir: &Path) -> Result<(), RepositoryError> {
        let targets: serde_json::Map<String, Value> = self
            .offer
            .iter()
            .map(|(name, file)| {
                let TargetFile { length, sha256, custom } = file;
                (name.to_string(), json!({"length": length, "sha256": sha256.to_hex(), "custom": custom}))
            })
            .collect();
        let text = json!({"plyos": "offer", "version": 1, "targets": targets});
        write(&offer_path(dir), format!("{text}").as_bytes())
    }

    /// Writes the list of unsent paths.
    pub(super) fn write_unsent(&self, dir: &Path) -> Result<(), RepositoryError> {
        write(&unsent_path(dir), format!("{}", json!(self.unsent)).as_bytes())
    }
}

fn read_offer(path: &Path) -> Result<Offer, RepositoryError> {
    let value: Value = serde_json::from_slice(&read(path)?).map_err(|error| malformed(path, error))?;
    if (value.get("plyos"), value.get("version")) != (Some(&json!("offer")), Some(&json!(1))) {
        return Err(malformed(path, "it is of another kind or version"));
    }
    let targets = value
        .get("targets")
        .and_then(Value::as_object)
        .ok_or_else(|| malformed(path, "it has no targets"))?;
    targets
        .iter()
        .map(|(name, entry)| {
            let name = TargetName::parse(name).map_err(|error| malformed(path, error))?;
            let length = entry.get("length").and_then(Value::as_u64);
            let sha256 =
                entry.get("sha256").and_then(Value::as_str).and_then(|hex| BlobDigest::parse(hex).ok());
            let custom = entry.get("custom").cloned();
            match (length, sha256, custom) {
                (Some(length), Some(sha256), Some(custom)) => {
                    Ok((name, TargetFile { length, sha256, custom }))
                }
                _ => Err(malformed(path, format!("its entry for {name} is malformed"))),
            }
        })
        .collect()
}

fn read_unsent(path: &Path) -> Result<BTreeSet<String>, RepositoryError> {
    let list: Vec<String> = serde_json::from_slice(&read(path)?).map_err(|error| malformed(path, error))?;
    Ok(list.into_iter().collect())
}

/// The newest root, and what the timestamp leads to. The timestamp is written last, so that files of a signing that was
/// cut off are not seen.
fn read_signed(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, RepositoryError> {
    let mut signed = BTreeMap::new();
    let mut version = 1;
    while dir.join(metadata_path(ROOT, version)).is_file() {
        signed.insert(ROOT.into(), read(&dir.join(metadata_path(ROOT, version)))?);
        version += 1;
    }
    if !signed.contains_key(ROOT) {
        return Err(malformed(&dir.join(metadata_path(ROOT, 1)), "it is missing"));
    }
    let mut wanted: Vec<(String, u64)> = vec![(TIMESTAMP.into(), 0)];
    while let Some((role, version)) = wanted.pop() {
        let path = dir.join(metadata_path(&role, version));
        let bytes = read(&path)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| malformed(&path, error))?;
        let meta = value.get("signed").and_then(|signed| signed.get("meta")).and_then(Value::as_object);
        for (name, entry) in meta.into_iter().flatten() {
            let role = name.strip_suffix(".json").ok_or_else(|| malformed(&path, "it lists another file"))?;
            let version = entry.get("version").and_then(Value::as_u64);
            wanted.push((
                role.into(),
                version.ok_or_else(|| malformed(&path, "it lists a file without version"))?,
            ));
        }
        signed.insert(role, bytes);
    }
    if !signed.contains_key(TARGETS) {
        return Err(malformed(&dir.join(metadata_path(TIMESTAMP, 0)), "it does not lead to targets"));
    }
    Ok(signed)
}
