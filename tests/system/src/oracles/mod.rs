//! Foreign readers as judges of a layer: what each makes of it, entry by entry, against the tree that was pushed.
//!
//! A [`Case`] is a tree in our registry; each [`READERS`] entry takes it from there with other people's tools and gives an
//! inventory, or says that its tools are not here. `make oracles` runs them over the corpus and writes the table of the guide.

mod python;
mod readers;

pub use readers::READERS;

use crate::inventory::{self, Inventory};
use crate::programs::{Ended, command, run};
use crate::publisher::{Layer, Publisher, Pushed};
use crate::registry::Registry;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A reader: how it is called, what it needs on the path, and how it reads.
#[derive(Debug)]
pub struct Reader {
    /// As in the table.
    pub name: &'static str,
    /// Programs that it needs.
    pub tools: &'static [&'static str],
    /// Whether it can work as somebody else than root.
    pub needs_root: bool,
    read: fn(&Case<'_>) -> Reading,
}

/// What came of a reader.
#[derive(Debug)]
pub enum Reading {
    /// All entries that it saw.
    Entries(Inventory),
    /// It did not read, and why.
    Skipped(String),
}

/// What is said of a reader and a tree.
#[derive(Debug)]
pub enum Verdict {
    /// Entries that were compared, and where they differ.
    Compared(usize, Vec<String>),
    /// Not looked at, and why.
    Skipped(String),
}

/// A tree, pushed.
#[derive(Debug)]
pub struct Case<'a> {
    /// Where it is.
    pub registry: &'a Registry,
    /// Who pushed it.
    pub publisher: &'a Publisher,
    /// As zstd frames.
    pub pushed: Pushed,
    name: String,
    kind: &'static str,
    source: PathBuf,
    expected: Inventory,
    work: TempDir,
}

impl<'a> Case<'a> {
    /// Pushes a tree with its owners.
    pub fn new(
        registry: &'a Registry,
        publisher: &'a Publisher,
        source: &Path,
        kind: &'static str,
        name: &str,
    ) -> Self {
        let pushed = publisher.push(registry, source, &Layer::new(kind, name, "1").with("--owner", "keep"));
        Self {
            registry,
            publisher,
            pushed,
            name: name.to_owned(),
            kind,
            source: source.to_owned(),
            expected: inventory::of(source),
            work: TempDir::with_prefix("plyos-oracle-").unwrap(),
        }
    }

    /// Lets a reader read, and compares.
    pub fn judge(&self, reader: &Reader) -> Verdict {
        if reader.needs_root && !inventory::is_root() {
            return Verdict::Skipped("needs root".into());
        }
        if let Some(tool) = reader.tools.iter().find(|tool| !self.has(tool)) {
            return Verdict::Skipped(format!("{tool} is not installed"));
        }
        match (reader.read)(self) {
            Reading::Skipped(why) => Verdict::Skipped(why),
            Reading::Entries(found) => {
                Verdict::Compared(self.expected.len(), inventory::differences(&self.expected, &found))
            }
        }
    }

    fn has(&self, tool: &str) -> bool {
        run(command("sh", self.work.path()).args(["-c", &format!("command -v {tool}")])).code == Some(0)
    }

    /// A fresh folder.
    fn folder(&self, name: &str) -> PathBuf {
        let path = self.work.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    fn tool(&self, name: &str, args: &[&str]) -> Ended {
        run(command(name, self.work.path()).args(args)).ok()
    }

    /// Runs a line of bash in which `$1` and so on are `args`; any program of a pipe may fail it.
    fn shell(&self, line: &str, args: &[&Path]) -> Ended {
        run(command("bash", self.work.path()).args(["-o", "pipefail", "-c", line, "bash"]).args(args)).ok()
    }

    /// The layer's blob out of our registry's storage.
    fn blob(&self) -> PathBuf {
        let file = self.work.path().join("blob");
        if !file.exists() {
            fs::write(&file, self.registry.stored().read(self.pushed.text("blob"))).unwrap();
        }
        file
    }
}
