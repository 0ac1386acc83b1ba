//! A target: a store and `pkg`, and what of it must stay as it is when a command is refused.

use crate::programs::{Ended, Running, built, command};
use crate::trees::WITNESS;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A machine's store.
#[derive(Debug)]
pub struct Target {
    folder: TempDir,
    pkg: PathBuf,
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}

/// What a refused command may not change.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    active: Value,
    slots: Value,
    list: Value,
    history: Value,
    /// How `pkg cat` of [`WITNESS`] ends, and what it gives.
    witness: (Option<i32>, Vec<u8>),
}

impl Target {
    /// A target without a store.
    pub fn new() -> Self {
        Self { folder: TempDir::with_prefix("plyos-target-").unwrap(), pkg: built("pkg") }
    }

    /// Path of the store.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A path beside the store.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `pkg` with arguments, to be run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&self.pkg, self.folder.path());
        // What may run as a check of health stands outside of the store, and of this machine's own configuration.
        command.env("PKG_HEALTH_COMMANDS", self.beside("health-commands"));
        command.env("PKG_STORE", self.store()).args(args);
        command
    }

    /// Starts `pkg`.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args))
    }

    /// Runs `pkg`.
    #[must_use = "it may have failed"]
    pub fn pkg(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    /// Runs `pkg --json`, which must end well.
    pub fn json(&self, args: &[&str]) -> Value {
        self.pkg(&[&["--json"], args].concat()).json()
    }

    /// Trusts the repository at `url`.
    pub fn trust(&self, url: &str, root: &str) {
        self.pkg(&["repo", "add", url, "--root", root]).ok();
    }

    /// Number of the active generation, 0 when there is none.
    pub fn generation(&self) -> u64 {
        self.json(&["status"])["active"].as_u64().unwrap_or_default()
    }

    /// `NAME VERSION` of what is installed, sorted.
    pub fn installed(&self) -> Vec<String> {
        let list = self.json(&["list"]);
        let text = |row: &Value, member: &str| row[member].as_str().unwrap().to_owned();
        let rows = list.as_array().unwrap().iter();
        let mut names: Vec<_> =
            rows.map(|row| format!("{} {}", text(row, "name"), text(row, "version"))).collect();
        names.sort();
        names
    }

    /// Bytes of a file in the active namespace.
    pub fn cat(&self, path: &str) -> Vec<u8> {
        self.pkg(&["cat", path]).ok().stdout
    }

    /// Everything that a refused command may not change. A target without a store has a state too.
    pub fn state(&self) -> State {
        if !self.store().exists() {
            return State {
                active: json!(null),
                slots: json!(null),
                list: json!([]),
                history: json!([]),
                witness: (None, Vec::new()),
            };
        }
        let status = self.json(&["status"]);
        let witness = self.pkg(&["cat", WITNESS]);
        State {
            active: status["active"].clone(),
            slots: status["slots"].clone(),
            list: self.json(&["list"]),
            history: self.json(&["history"]),
            witness: (witness.code, witness.stdout),
        }
    }

    /// Runs a command that must be refused with `code`, with one line on stderr, and must change nothing. Gives the line
    /// without the program's name.
    pub fn refuses(&self, code: i32, args: &[&str]) -> String {
        let before = self.state();
        let line = self.pkg(args).refused(code);
        println!("{code}: {line}");
        assert_eq!(self.state(), before, "pkg {args:?} was refused and changed something");
        line
    }

    /// Where a path of the target's folder lies, as text.
    pub fn text_of(path: &Path) -> &str {
        path.to_str().unwrap()
    }
}
