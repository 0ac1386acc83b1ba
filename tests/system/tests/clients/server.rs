//! A registry as clients meet it: open to all, or with an account that alone may do anything.

use plyos_test_system::programs::{Ended, command, run};
use plyos_test_system::registry::Registry;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The account.
pub const USER: &str = "robot";
/// Its password: with what a shell, a URL or a JSON document might stumble over.
pub const PASSWORD: &str = r#"a "quiet" pass:word"#;
/// Of the password, as `htpasswd -B` writes it, of the least cost.
const HASH: &str = "$2b$04$.geJrvh2gkzb94oo.XBfceneGhAIxqj/bPlbLv7sHyE0CXIyakQ6W";

/// A registry, and a folder for its client.
pub struct Server {
    registry: Registry,
    folder: TempDir,
    guarded: bool,
}

impl Server {
    /// A registry where anyone may do anything.
    pub fn open() -> Self {
        Self { registry: Registry::start(), folder: folder(), guarded: false }
    }

    /// A registry where only [`USER`] may do anything.
    pub fn with_login() -> Self {
        let folder = folder();
        let (accounts, config) = (folder.path().join("htpasswd"), folder.path().join("serve.toml"));
        fs::write(&accounts, format!("{USER}:{HASH}\n")).unwrap();
        let text = format!(
            "anonymous-pull = false\n[access]\nhtpasswd = \"{}\"\n[[rules]]\nwho = [\"{USER}\"]\n\
             repositories = [\"**\"]\nrights = [\"pull\", \"push\", \"delete\"]\n",
            accounts.display()
        );
        fs::write(&config, text).unwrap();
        let registry = Registry::start_with(vec!["--config".into(), config.into()]);
        Self { registry, folder, guarded: true }
    }

    /// `HOST:PORT`
    pub fn address(&self) -> String {
        self.registry.address().to_string()
    }

    /// `docker://HOST:PORT/NAME`
    pub fn docker(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address())
    }

    /// The account's name and password, if one is needed.
    pub fn login(&self) -> Option<(&'static str, &'static str)> {
        self.guarded.then_some((USER, PASSWORD))
    }

    /// An option of the containers tools that logs in.
    pub fn credentials(&self, option: &str) -> Vec<String> {
        self.login().iter().map(|(user, password)| format!("{option}={user}:{password}")).collect()
    }

    /// Where something of the client's lies.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a client to its end, whatever that is.
    pub fn client(&self, program: &str, args: &[&str]) -> Ended {
        run(command(program, self.folder.path()).current_dir(self.folder.path()).args(args))
    }
}

fn folder() -> TempDir {
    TempDir::with_prefix("plyos-client-").unwrap()
}

/// Whether the tools are here.
///
/// # Panics
/// When one is missing and nobody said that this is fine.
pub fn has(tools: &[&str]) -> bool {
    let folder = folder();
    tools.iter().all(|tool| {
        let search = format!("command -v {tool}");
        let found = run(command("sh", folder.path()).args(["-c", &search])).code == Some(0);
        let skip = std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|skip| skip == "1");
        assert!(found || skip, "{tool} is missing: install it, or set PLYOS_SKIP_FOREIGN=1");
        if !found {
            eprintln!("{tool} is missing: skipped");
        }
        found
    })
}

/// The arguments as one list; some are made, most are written down.
pub fn words<'a>(written: &[&'a str], made: &'a [String]) -> Vec<&'a str> {
    written.iter().copied().chain(made.iter().map(String::as_str)).collect()
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
