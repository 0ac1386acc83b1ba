//! Debian's docker-registry (CNCF distribution) on a free port, until it is dropped.

use crate::programs::command;
use crate::registry::guarded;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;

/// The server.
#[derive(Debug)]
pub struct DebianRegistry {
    guard: Child,
    address: SocketAddr,
}

impl DebianRegistry {
    /// Starts it with its storage in `folder`.
    pub fn start(folder: &Path) -> Self {
        let config = folder.join("config.yml");
        let storage = folder.join("storage");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n",
            storage.display()
        );
        fs::write(&config, text).unwrap();
        let mut server = command("docker-registry", folder);
        server.arg("serve").arg(&config);
        let (guard, address) = guarded(&server, folder, |said| {
            let (_, rest) = said.split_once("listening on ")?;
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))?;
            rest[..end].parse().ok()
        });
        Self { guard, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `docker://HOST:PORT/REPO:TAG`
    pub fn place(&self, repository: &str) -> String {
        format!("docker://{}/{repository}:1", self.address)
    }
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
