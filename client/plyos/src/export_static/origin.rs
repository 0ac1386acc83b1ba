//! What is exported: a whole catalog, verified as a target would, and the blobs that its manifests name.

use plyos_custody::repository::{PublishFile, Workspace};
use plyos_ids::BlobDigest;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_transfer::catalog::Catalog;
use plyos_transfer::{Http, TransferError};
use plyos_trust::tuf::{Held, Limits, Step, Update};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::repo::catalog_of;
use crate::workspace::failure;

/// The file that everything is reached through.
pub const TIMESTAMP: &str = "metadata/timestamp.json";
/// Where every root begins.
const FIRST_ROOT: &str = "metadata/1.root.json";
/// Longest manifest or keyring.
const TARGET_LIMIT: u64 = 4 << 20;

/// A catalog to be exported.
pub struct Origin {
    /// Where it is published, and where its blobs lie unless something else is said.
    pub catalog: Catalog,
    /// Manifests and keyring, roots, roles, snapshot: what is referred to before what refers to it.
    files: Vec<PublishFile>,
    timestamp: PublishFile,
}

/// A blob that a manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// What it is.
    pub digest: BlobDigest,
    /// Its bytes.
    pub size: u64,
}

impl Origin {
    /// What a workspace has signed last.
    pub fn of_workspace(dir: &Path, http: Http) -> Result<Self, Failure> {
        let catalog = catalog_of(dir, http)?;
        let reading = |error| failure("reading the repository", error);
        let workspace = Workspace::open(dir).map_err(reading)?;
        Self::assemble(catalog, workspace.files().map_err(reading)?)
    }

    /// What an address offers, by the whole of TUF's workflow from its first root on.
    pub async fn of_address(url: &str, root: &str, now: u64, http: Http) -> Result<Self, Failure> {
        let catalog = Catalog::new(http, url)?;
        let first = get(&catalog, FIRST_ROOT, Limits::default().root_len).await?;
        trust(&first, root, &catalog)?;
        let doing = format!("the catalog at {} is refused", catalog.url());
        let mut metadata = vec![file(FIRST_ROOT, first.clone())];
        let mut update = Update::new(first, Held::default(), now, Limits::default())
            .or_fail(ExitCode::Signature, &doing)?;
        let offered = loop {
            match update.next() {
                Step::Done(offered) => break offered,
                Step::Fetch { path, max_len, optional } => {
                    let bytes = catalog.get(&path, max_len).await?.map(|bytes| bytes.to_vec());
                    if bytes.is_none() && !optional {
                        return Err(missing(&catalog, &path));
                    }
                    metadata.extend(bytes.clone().map(|bytes| file(&path, bytes)));
                    update.supply(bytes).or_fail(ExitCode::Signature, &doing)?;
                }
            }
        };
        let mut files = Vec::new();
        for (name, target) in &offered.targets {
            let path = offered.path_of(name, target);
            let bytes = get(&catalog, &path, target.length.min(TARGET_LIMIT)).await?;
            target.check(name, &bytes).or_fail(ExitCode::Signature, &doing)?;
            files.push(file(&path, bytes));
        }
        // The workflow fetches what refers before what is referred to.
        metadata.reverse();
        files.extend(metadata);
        Self::assemble(catalog, files)
    }

    fn assemble(catalog: Catalog, files: Vec<PublishFile>) -> Result<Self, Failure> {
        let (mut timestamp, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.path == TIMESTAMP);
        let timestamp = timestamp.pop().ok_or_else(|| missing(&catalog, TIMESTAMP))?;
        Ok(Self { catalog, files, timestamp })
    }

    /// All files but the timestamp, in the order in which they are to be written.
    pub fn immutable(&self) -> &[PublishFile] {
        &self.files
    }

    /// The last one.
    pub fn timestamp(&self) -> &PublishFile {
        &self.timestamp
    }

    /// The path of its address on the server.
    pub fn url_path(&self) -> String {
        let rest = self.catalog.url().split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned()
    }

    /// Every blob that the manifests name, each once, in the order of their names; but those that targets fetch from an OCI
    /// registry, because the catalog says so.
    pub fn blobs(&self) -> Result<Vec<Blob>, Failure> {
        let mut found = BTreeMap::new();
        let elsewhere = self.elsewhere();
        for file in self.files.iter().filter(|file| file.path.starts_with("targets/")) {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            if name.split('.').next().is_some_and(|digest| elsewhere.contains(digest)) {
                continue;
            }
            // The keyring is no manifest.
            let Ok(manifest) = serde_json::from_slice::<Value>(&file.bytes) else { continue };
            let layers = manifest.get("layers").and_then(Value::as_array);
            for part in manifest.get("config").into_iter().chain(layers.into_iter().flatten()) {
                let blob = blob(part).ok_or_else(|| {
                    Failure::new(ExitCode::Signature, format!("the manifest {} is malformed", file.path))
                })?;
                found.insert(blob.digest.to_hex(), blob);
            }
        }
        Ok(found.into_values().collect())
    }

    /// SHA-256 of the manifests of layers whose entry names a registry.
    fn elsewhere(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for file in self.files.iter().filter(|file| file.path.starts_with("metadata/")) {
            let Ok(role) = serde_json::from_slice::<Value>(&file.bytes) else { continue };
            let targets = role.pointer("/signed/targets").and_then(Value::as_object);
            for target in targets.into_iter().flat_map(|targets| targets.values()) {
                let digest = target.pointer("/hashes/sha256").and_then(Value::as_str);
                if target.pointer("/custom/registry").is_some_and(Value::is_string) {
                    found.extend(digest.map(str::to_owned));
                }
            }
        }
        found
    }
}

/// Number of a timestamp.
pub fn version_of(timestamp: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(timestamp).ok()?;
    value.get("signed")?.get("version")?.as_u64()
}

fn blob(part: &Value) -> Option<Blob> {
    let digest = BlobDigest::parse(part.get("digest")?.as_str()?).ok()?;
    Some(Blob { digest, size: part.get("size")?.as_u64()? })
}

/// Compares a first root with the file or hash that the user vouches for.
fn trust(first: &[u8], root: &str, catalog: &Catalog) -> Result<(), Failure> {
    let is_hash = root.len() == 64 && root.bytes().all(|b| b.is_ascii_hexdigit());
    let same = if is_hash && !Path::new(root).exists() {
        BlobDigest::from_bytes(Sha256::digest(first).into()).to_hex() == root.to_ascii_lowercase()
    } else {
        let doing = format!("reading the root metadata {root} (give a file, or the SHA-256 of 1.root.json)");
        std::fs::read(root).or_fail(ExitCode::NotFound, doing)? == first
    };
    if same {
        return Ok(());
    }
    let line = format!("{FIRST_ROOT} of {} is not the root that was given; it is not trusted", catalog.url());
    Err(Failure::new(ExitCode::Signature, line))
}

async fn get(catalog: &Catalog, path: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    catalog.get(path, limit).await?.map(|bytes| bytes.to_vec()).ok_or_else(|| missing(catalog, path))
}

fn missing(catalog: &Catalog, path: &str) -> Failure {
    TransferError::NotFound { what: format!("fetching {path} from {}", catalog.url()) }.into()
}

fn file(path: &str, bytes: Vec<u8>) -> PublishFile {
    PublishFile { path: path.to_owned(), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str, manifest: &[u8]) -> Origin {
        let files = vec![
            file("targets/x", manifest.to_vec()),
            file("targets/keyring", b"no JSON".to_vec()),
            file(TIMESTAMP, vec![]),
        ];
        Origin::assemble(Catalog::new(Http::new().unwrap(), url).unwrap(), files).unwrap()
    }

    #[test]
    fn blobs_are_named_once() {
        let part = |digit: &str| format!(r#"{{"digest":"sha256:{}","size":5}}"#, digit.repeat(64));
        let manifest = format!(r#"{{"config":{},"layers":[{},{}]}}"#, part("b"), part("a"), part("a"));
        let found = origin("https://h/c", manifest.as_bytes()).blobs().unwrap();
        assert_eq!(
            found.iter().map(|blob| blob.digest.to_hex()).collect::<Vec<_>>(),
            ["a".repeat(64), "b".repeat(64)]
        );
        assert!(origin("https://h/c", br#"{"layers":[{"digest":"sha256:zz","size":5}]}"#).blobs().is_err());
    }

    #[test]
    fn the_path_is_that_of_the_address() {
        for (url, path) in
            [("https://h:1/catalog/main", "/catalog/main"), ("https://h", "/"), ("https://h/c/", "/c")]
        {
            assert_eq!(origin(url, b"{}").url_path(), path);
        }
    }
}
