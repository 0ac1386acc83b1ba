//! Debian's nginx in the foreground, over a folder that `plyos export-static` made, with the configuration that it wrote.

use crate::programs::command;
use crate::registry::guarded;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use tempfile::TempDir;

/// The server, ended when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    _folder: TempDir,
    guard: Child,
    address: SocketAddr,
}

impl Nginx {
    /// Serves `export` on a free port.
    pub fn serve(export: &Path) -> Self {
        let folder = TempDir::with_prefix("plyos-nginx-").unwrap();
        // Free until somebody else takes it: nginx says so and the test fails, which it does not do by itself.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let here = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};"));
        let text = format!(
            "daemon off;\nmaster_process off;\npid {here}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{}\n\
             server {{\nlisten {address};\ninclude \"{}\";\n}}\n}}\n",
            temporary.join("\n"),
            export.join("nginx.conf").display()
        );
        let configuration = folder.path().join("all.conf");
        fs::write(&configuration, text).unwrap();
        let mut server = command("nginx", folder.path());
        server.arg("-c").arg(&configuration).arg("-p").arg(folder.path());
        let (guard, address) = guarded(&server, folder.path(), |said| {
            assert!(!said.contains("[emerg]"), "nginx does not start: {said}");
            TcpStream::connect(address).ok().map(|_| address)
        });
        Self { _folder: folder, guard, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its guard sees the end of its input.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
