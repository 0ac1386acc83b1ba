//! A publisher: pushes trees and publishes them, by `plyos`; and one who has the keys and uses them badly.

use crate::programs::{Ended, built, command, run, wait_for};
use crate::registry::{CATALOG, Registry};
use plyos_custody::repository::{RepositoryError, Workspace};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// A layer to be pushed.
#[derive(Debug, Clone)]
pub struct Layer {
    kind: String,
    name: String,
    version: String,
    options: Vec<String>,
}

impl Layer {
    /// By kind, name and version.
    pub fn new(kind: &str, name: &str, version: &str) -> Self {
        Self { kind: kind.into(), name: name.into(), version: version.into(), options: Vec::new() }
    }

    /// A package.
    pub fn package(name: &str, version: &str) -> Self {
        Self::new("package", name, version)
    }

    /// With an option of `plyos push`.
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.options.extend([option.to_owned(), value.to_owned()]);
        self
    }

    /// With an option that has no value.
    pub fn flag(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }
}

/// What was pushed.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// `HOST:PORT/REPO:TAG`
    pub place: String,
    /// What `plyos push --json` said.
    pub facts: Value,
}

impl Pushed {
    /// A text of [`Pushed::facts`].
    pub fn text(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap_or_else(|| panic!("push said no '{name}': {}", self.facts))
    }

    /// Bytes of its blob.
    pub fn blob_len(&self) -> u64 {
        self.facts["bytes"]["blob"].as_u64().unwrap()
    }

    /// Offset and stored length of `index` or `frames` in the blob, from the manifest in the registry.
    pub fn part(&self, registry: &Registry, part: &str) -> (u64, u64) {
        let bytes = registry.stored().read(self.text("manifest"));
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let text = manifest["layers"][0]["annotations"][format!("org.plyos.layer.{part}")].as_str().unwrap();
        let number = |name: &str| {
            let member = text.split(',').find_map(|member| member.strip_prefix(name)).unwrap();
            member.strip_prefix('=').unwrap().parse().unwrap()
        };
        (number("offset"), number("stored"))
    }
}

/// A repository's workspace.
#[derive(Debug)]
pub struct Publisher {
    folder: TempDir,
    home: PathBuf,
    root_sha256: String,
}

impl Publisher {
    /// Makes keys and an empty catalog for `registry`; nothing is uploaded yet.
    pub fn new(registry: &Registry) -> Self {
        Self::at(&registry.catalog())
    }

    /// The same for a catalog of this address.
    pub fn at(catalog: &str) -> Self {
        let folder = TempDir::with_prefix("plyos-publisher-").unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        let mut publisher = Self { folder, home, root_sha256: String::new() };
        let workspace = publisher.workspace();
        let facts = publisher
            .plyos(["--json", "repo", "init", workspace.to_str().unwrap(), "--catalog", catalog])
            .json();
        publisher.root_sha256 = facts["root_sha256"].as_str().unwrap().to_owned();
        publisher
    }

    /// Folder of the workspace.
    pub fn workspace(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// The root's file.
    pub fn root_file(&self) -> PathBuf {
        self.workspace().join("metadata/1.root.json")
    }

    /// SHA-256 of the root's file.
    pub fn root_sha256(&self) -> &str {
        &self.root_sha256
    }

    /// Runs `plyos`.
    pub fn plyos<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ended {
        run(command(built("plyos"), &self.home).args(args))
    }

    /// Pushes a tree and publishes nothing.
    pub fn push(&self, registry: &Registry, tree: &Path, layer: &Layer) -> Pushed {
        let place = registry.place(&format!("{}/{}", layer.kind, layer.name), &layer.version);
        let mut args = vec!["--json", "push", tree.to_str().unwrap(), &place, "--kind", &layer.kind];
        args.extend(["--name", &layer.name, "--version", &layer.version]);
        args.extend(layer.options.iter().map(String::as_str));
        Pushed { facts: self.plyos(args).json(), place }
    }

    /// Publishes pushed layers; without any, signs what is there again.
    pub fn publish(&self, layers: &[&Pushed]) -> Value {
        let workspace = self.workspace();
        let mut args = vec!["--json", "publish", "--repo", workspace.to_str().unwrap()];
        args.extend(layers.iter().map(|layer| layer.place.as_str()));
        self.plyos(args).json()
    }

    /// Changes what the catalog will say of a layer (its `custom`), behind the back of `plyos`; publish it with
    /// [`Publisher::publish`]. Gives the offer back as it was.
    pub fn falsify(&self, target: &str, change: impl FnOnce(&mut Value)) -> Offer {
        let path = self.workspace().join("offer.json");
        let before = fs::read(&path).unwrap();
        let mut offer: Value = serde_json::from_slice(&before).unwrap();
        let custom = &mut offer["targets"][target]["custom"];
        assert!(custom.is_object(), "no target {target} on offer");
        change(custom);
        fs::write(&path, offer.to_string()).unwrap();
        Offer { path, before }
    }

    /// Signs the catalog as if it were `now`, and puts it on the server.
    pub fn sign_at(&self, registry: &Registry, now: u64) {
        let mut workspace = unlocked(|| Workspace::open(&self.workspace()));
        let files = unlocked(|| workspace.publish(now));
        for file in &files {
            let path = registry.catalog_folder().join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &file.bytes).unwrap();
        }
        workspace.mark_published(&files).unwrap();
    }

    /// Name of the repository on a target, by default.
    pub fn name(&self) -> &'static str {
        CATALOG
    }
}

/// Does something to a workspace, again while it is locked: a process that another test is about to start holds, for the
/// moment between fork and exec, every file that is open here.
pub(crate) fn unlocked<T>(mut act: impl FnMut() -> Result<T, RepositoryError>) -> T {
    wait_for("the workspace's lock", || match act() {
        Err(RepositoryError::Locked(_)) => None,
        other => Some(other.unwrap()),
    })
}

/// An offer as it was before it was falsified.
#[derive(Debug)]
#[must_use]
pub struct Offer {
    path: PathBuf,
    before: Vec<u8>,
}

impl Offer {
    /// Puts it back; to be published again.
    pub fn restore(self) {
        fs::write(self.path, self.before).unwrap();
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
