//! A registry as a process on a free port, with its storage folder at hand to be looked at and damaged.

use crate::programs::{built, command, wait_for};
use crate::stored::Stored;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Name of the catalog that tests use.
pub const CATALOG: &str = "main";

/// `plyos serve`, ended when this is dropped.
#[derive(Debug)]
pub struct Registry {
    folder: TempDir,
    /// Ends the registry when its input ends, so that none is left when a test is killed.
    guard: Child,
    address: SocketAddr,
    options: Vec<OsString>,
}

impl Registry {
    /// Starts a registry that takes pushes.
    pub fn start() -> Self {
        Self::start_with(vec!["--anonymous-push".into()])
    }

    /// Starts a registry with these options of `plyos serve`.
    pub fn start_with(options: Vec<OsString>) -> Self {
        let folder = TempDir::with_prefix("plyos-registry-").unwrap();
        let (guard, address) = serve(folder.path(), &options);
        Self { folder, guard, address, options }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `HOST:PORT/REPO:TAG`
    pub fn place(&self, repository: &str, tag: &str) -> String {
        format!("{}/{repository}:{tag}", self.address)
    }

    /// Address of the catalog.
    pub fn catalog(&self) -> String {
        format!("http://{}/catalog/{CATALOG}", self.address)
    }

    /// The blobs in its storage.
    pub fn stored(&self) -> Stored {
        Stored::new(self.folder.path())
    }

    /// Makes `place` (`HOST:PORT/REPO:TAG`), which names the manifest of digest `old`, name this one of a layer whose blob is kept
    /// with it.
    pub fn retag(&self, place: &str, old: &str, manifest: &[u8], blob: &[u8]) {
        let (_, rest) = place.split_once('/').unwrap();
        let (repository, tag) = rest.rsplit_once(':').unwrap();
        let folder = self.storage().join("repositories").join(repository);
        let digest = self.stored().keep(manifest);
        for held in [&digest, &self.stored().keep(blob)] {
            fs::write(folder.join("_blobs/sha256").join(held), "").unwrap();
        }
        let media_types = folder.join("_manifests/sha256");
        fs::copy(media_types.join(old.trim_start_matches("sha256:")), media_types.join(&digest)).unwrap();
        let tag = folder.join("_tags").join(tag);
        let named = fs::read_to_string(&tag).unwrap();
        assert!(named.contains(old), "{} names {named}", tag.display());
        fs::write(tag, named.replace(old, &format!("sha256:{digest}"))).unwrap();
    }

    /// Folder of the catalog's files.
    pub fn catalog_folder(&self) -> PathBuf {
        self.storage().join("catalog").join(CATALOG)
    }

    /// The catalog's file whose path below the catalog holds `part`.
    ///
    /// # Panics
    /// When there is not exactly one.
    pub fn catalog_file(&self, part: &str) -> PathBuf {
        let folder = self.catalog_folder();
        let mut found = Vec::new();
        let mut open = vec![folder.clone()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if path.strip_prefix(&folder).unwrap().to_str().unwrap().contains(part) {
                    found.push(path);
                }
            }
        }
        assert_eq!(found.len(), 1, "files of the catalog with '{part}': {found:?}");
        found.remove(0)
    }

    /// Ends the process and starts another one over the same storage, on another port.
    pub fn restart(&mut self) {
        self.stop();
        (self.guard, self.address) = serve(&self.storage(), &self.options);
    }

    /// The same with other options of `plyos serve`.
    pub fn restart_with(&mut self, options: Vec<OsString>) {
        self.options = options;
        self.restart();
    }

    /// What it wrote since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.storage().join("serve.log")).unwrap()
    }

    /// Ends the process.
    pub fn stop(&mut self) {
        // Its guard sees the end of its input, as it does when this program dies in whatever way.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }

    fn storage(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A shell that runs the registry until its own input ends, and the registry's address.
fn serve(storage: &Path, options: &[OsString]) -> (Child, SocketAddr) {
    let mut server = command(built("plyos"), storage);
    server.args(["serve", "--listen", "127.0.0.1:0"]).args(options).arg("--storage").arg(storage);
    // What is changed behind its back is to be seen at once.
    server.env("PLYOS_SERVE_LIMITS_CACHE_BYTES", "0");
    guarded(&server, storage, |said| {
        assert!(!said.contains("plyos: "), "the registry ended at once: {said}");
        let line = said.lines().find_map(|line| line.strip_prefix("listening on http"));
        let line = line.map(|line| line.trim_start_matches(['s', ':', '/']));
        line.and_then(|address| address.parse().ok())
    })
}

/// A server below a shell that ends it when its own input ends, and the address that `find` finds in what it writes to stderr.
pub(crate) fn guarded(
    server: &Command,
    folder: &Path,
    find: impl Fn(&str) -> Option<SocketAddr>,
) -> (Child, SocketAddr) {
    let log = folder.join("serve.log");
    let mut guard = command("sh", folder)
        .args(["-c", "\"$@\" & read -r _; kill -KILL $!", "sh"])
        .arg(server.get_program())
        .args(server.get_args())
        .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let address = wait_for("the registry's address", || {
        let said = fs::read_to_string(&log).unwrap();
        let ended = guard.try_wait().unwrap();
        assert!(ended.is_none(), "the registry's guard ended ({ended:?}): {said}");
        find(&said)
    });
    (guard, address)
}

/// A stored file with other bytes than it had; put right again when this is dropped.
#[derive(Debug)]
pub struct Tampered {
    path: PathBuf,
    original: Vec<u8>,
}

impl Tampered {
    /// Changes the file's bytes.
    ///
    /// # Panics
    /// When nothing was changed.
    pub fn with(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let original = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut bytes = original.clone();
        change(&mut bytes);
        assert_ne!(bytes, original, "{} was not tampered with", path.display());
        fs::write(path, bytes).unwrap();
        Self { path: path.to_owned(), original }
    }

    /// Turns one bit of the byte at `offset`.
    pub fn flip(path: &Path, offset: u64) -> Self {
        Self::with(path, |bytes| bytes[usize::try_from(offset).unwrap()] ^= 1)
    }

    /// Replaces a text that must stand there.
    pub fn replace(path: &Path, from: &str, to: &str) -> Self {
        Self::with(path, |bytes| {
            let text = std::str::from_utf8(bytes).unwrap();
            assert!(text.contains(from), "{}: no '{from}' in {text}", path.display());
            *bytes = text.replacen(from, to, 1).into_bytes();
        })
    }

    /// Puts the original back.
    pub fn repair(self) {}
}

impl Drop for Tampered {
    fn drop(&mut self) {
        fs::write(&self.path, &self.original).unwrap();
    }
}
