//! Plyos itself: a registry process, a publisher's workspace, a target's store.

use crate::process::{self, Usage};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A registry on a free port of this machine, ended when dropped.
pub struct Registry {
    child: Option<Child>,
    started: Instant,
    address: String,
}

impl Registry {
    /// Starts a registry over an empty folder and waits until it listens.
    pub fn start(settings: &Settings, storage: &Path) -> Result<Self> {
        crate::rivals::empty(storage)?;
        Self::over(settings, storage)
    }

    /// Starts a registry over a folder as it is and waits until it listens.
    pub fn over(settings: &Settings, storage: &Path) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(settings.programs.join("plyos"))
            .args(["serve", "--listen", "127.0.0.1:0", "--anonymous-push", "--storage"])
            .arg(storage)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting `plyos serve`")?;
        let errors = child.stderr.take().context("`plyos serve` has no stderr")?;
        let mut registry = Self { child: Some(child), started, address: String::new() };
        let mut lines = BufReader::new(errors).lines();
        for line in lines.by_ref() {
            if let Some(address) = listening_address(&line?) {
                registry.address = address;
                // What it says later must not fill the pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(registry);
            }
        }
        bail!("`plyos serve` ended before it listened")
    }

    /// `HOST:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends the registry; what it took in its whole life.
    pub fn end(mut self) -> Result<Usage> {
        let mut child = self.child.take().context("the registry has ended already")?;
        process::end(&mut child, self.started)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = process::end(&mut child, self.started);
        }
    }
}

/// `127.0.0.1:4711` of the line that a registry prints when it is ready.
fn listening_address(line: &str) -> Option<String> {
    let (_, address) = line.split_once("listening on http://")?;
    let end = address.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(address.len());
    let (address, _) = address.split_at(end);
    address.parse::<std::net::SocketAddr>().ok().map(|address| address.to_string())
}

/// A layer to push.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Name of the tree in the corpus, and of the layer.
    pub name: &'a str,
    /// `v1` or `v2`, in the corpus.
    pub version: &'a str,
    /// zstd level; none for what `plyos push` does by itself.
    pub level: Option<u8>,
}

impl Layer<'_> {
    /// The layer's kind. Package trees go as sites: their chunks are the same, and a site may have any path.
    fn kind(&self) -> &'static str {
        match self.name {
            name if name.starts_with("base") => "base",
            name if name.starts_with("model") => "model",
            _ => "site",
        }
    }

    fn place(&self, registry: &Registry) -> String {
        format!("{}/{}:{}", registry.address, self.name, self.version)
    }
}

/// The publisher's and a target's side, each with an own cache folder.
pub struct Plyos<'a> {
    settings: &'a Settings,
    work: PathBuf,
    store: PathBuf,
}

impl<'a> Plyos<'a> {
    /// Both sides in an empty folder.
    pub fn new(settings: &'a Settings, work: PathBuf) -> Result<Self> {
        crate::rivals::empty(&work)?;
        let store = work.join("store");
        Ok(Self { settings, work, store })
    }

    /// The same with the target's store elsewhere.
    pub fn with_store(self, store: &Path) -> Self {
        Self { store: store.to_owned(), ..self }
    }

    /// Forgets what earlier pushes left in the local cache.
    pub fn forget_cache(&self) -> Result<()> {
        crate::rivals::remove(&self.work.join("cache"))
    }

    /// Pushes a layer; what it took and what it reported.
    pub fn push(&self, registry: &Registry, layer: Layer<'_>) -> Result<(Usage, Value)> {
        self.push_tree(registry, layer, &self.settings.tree(layer.name, layer.version))
    }

    /// The same with a tree that is not in the corpus.
    pub fn push_tree(&self, registry: &Registry, layer: Layer<'_>, tree: &Path) -> Result<(Usage, Value)> {
        let mut command = self.program("plyos");
        command.args(["--json", "push"]).arg(tree);
        command.arg(layer.place(registry));
        command.args(["--kind", layer.kind(), "--name", layer.name, "--version", layer.version]);
        if layer.kind() != "base" {
            command.args(["--arch", "any"]);
        }
        if let Some(level) = layer.level {
            command.arg("--level").arg(level.to_string());
        }
        let (usage, output) = process::run(&mut command)?;
        Ok((usage, document(&output)?))
    }

    /// Makes the signing workspace.
    pub fn found_repository(&self, registry: &Registry) -> Result<()> {
        let mut command = self.program("plyos");
        command.args(["repo", "init"]).arg(self.work.join("repository"));
        command.args(["--catalog", &catalog(registry)]);
        process::run(&mut command).map(drop)
    }

    /// Signs pushed layers into the catalog.
    pub fn publish(&self, registry: &Registry, layers: &[Layer<'_>]) -> Result<()> {
        let mut command = self.program("plyos");
        command.args(["publish", "--repo"]).arg(self.work.join("repository"));
        command.args(layers.iter().map(|layer| layer.place(registry)));
        process::run(&mut command).map(drop)
    }

    /// An empty store that trusts the repository and knows its catalog.
    pub fn new_target(&self, registry: &Registry) -> Result<()> {
        let store = self.store();
        if store.exists() {
            std::fs::remove_file(&store).context("removing the last round's store")?;
        }
        self.trust(registry)
    }

    /// Makes the target trust the repository and know its catalog; a store is made when there is none.
    pub fn trust(&self, registry: &Registry) -> Result<()> {
        let mut command = self.pkg();
        command.args(["repo", "add", &catalog(registry), "--root"]);
        command.arg(self.work.join("repository/metadata/1.root.json"));
        process::run(&mut command)?;
        self.update()
    }

    /// `pkg update`.
    pub fn update(&self) -> Result<()> {
        process::run(self.pkg().arg("update")).map(drop)
    }

    /// `pkg install NAME`.
    pub fn install(&self, name: &str) -> Result<(Usage, Value)> {
        let (usage, output) = process::run(self.pkg().args(["--json", "install", "--yes", name]))?;
        Ok((usage, document(&output)?))
    }

    /// Bytes that `pkg install NAME` would fetch.
    pub fn to_fetch(&self, name: &str) -> Result<u64> {
        let (_, output) = process::run(self.pkg().args(["--json", "install", "--dry-run", name]))?;
        number(&document(&output)?, "/download_bytes")
    }

    /// `pkg upgrade`.
    pub fn upgrade(&self) -> Result<(Usage, Value)> {
        let (usage, output) = process::run(self.pkg().args(["--json", "upgrade", "--yes"]))?;
        Ok((usage, document(&output)?))
    }

    /// `pkg export` of the active namespace into a new folder, which is removed afterwards.
    pub fn export(&self) -> Result<Usage> {
        let place = self.work.join("exported");
        crate::rivals::remove(&place)?;
        let (usage, _) = process::run(self.pkg().arg("export").arg(&place))?;
        crate::rivals::remove(&place)?;
        Ok(usage)
    }

    /// The target's store.
    pub fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// Folder of the publisher's keys.
    pub fn keys(&self) -> PathBuf {
        self.work.join("repository/keys")
    }

    /// `pkg` on the target's store.
    pub fn pkg(&self) -> Command {
        let mut command = self.program("pkg");
        command.arg("--store").arg(self.store());
        command
    }

    /// One of the programs.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.settings.programs.join(name));
        command.env("XDG_CACHE_HOME", self.work.join("cache"));
        command
    }
}

/// What a target calls the repository.
pub const REPOSITORY: &str = "bench";

fn catalog(registry: &Registry) -> String {
    format!("http://{}/catalog/{REPOSITORY}", registry.address)
}

/// A JSON document that a program printed.
pub fn document(output: &[u8]) -> Result<Value> {
    serde_json::from_slice(output)
        .with_context(|| format!("reading the JSON document '{}'", String::from_utf8_lossy(output)))
}

/// A number of a JSON document, named by its JSON pointer.
pub fn number(document: &Value, pointer: &str) -> Result<u64> {
    document
        .pointer(pointer)
        .and_then(Value::as_u64)
        .with_context(|| format!("looking for the number '{pointer}' in {document}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_ready_line() {
        let address = Some("127.0.0.1:4711".to_owned());
        assert_eq!(listening_address("listening on http://127.0.0.1:4711"), address);
        assert_eq!(listening_address("INFO listening on http://127.0.0.1:4711/ now"), address);
        for other in ["", "listening on", "listening on http://", "listening on http://nowhere", "stopping"] {
            assert_eq!(listening_address(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_of_a_report() {
        let document = document(br#"{"bytes":{"blob":17},"generation":"2"}"#).unwrap();
        assert_eq!(number(&document, "/bytes/blob").unwrap(), 17);
        assert!(number(&document, "/generation").is_err());
        assert!(number(&document, "/bytes/sent").unwrap_err().to_string().contains("/bytes/sent"));
        assert!(super::document(b"moved 3 of 4").is_err());
    }
}
