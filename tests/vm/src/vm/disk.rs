//! Disks of a machine, which may be sick.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    path: PathBuf,
    format: &'static str,
    read_only: bool,
    /// Sectors of 512 bytes whose reading fails.
    unreadable: Vec<u64>,
    /// Whether every write fails.
    refuses_writes: bool,
    /// Bytes a second.
    most: Option<u64>,
}

impl Disk {
    /// A file with the disk's bytes.
    pub fn raw(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            format: "raw",
            read_only: false,
            unreadable: Vec::new(),
            refuses_writes: false,
            most: None,
        }
    }

    /// A file of QEMU's own format.
    pub fn qcow2(path: &Path) -> Self {
        Self { format: "qcow2", ..Self::raw(path) }
    }

    /// One that says that it cannot be written.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// One where each read of the sector at this byte fails.
    #[must_use]
    pub fn unreadable_at(mut self, byte: u64) -> Self {
        self.unreadable.push(byte / 512);
        self
    }

    /// One that fails to write, though it said it could.
    #[must_use]
    pub const fn refusing_writes(mut self) -> Self {
        self.refuses_writes = true;
        self
    }

    /// One that reads so many bytes a second.
    #[must_use]
    pub const fn slow(mut self, bytes_a_second: u64) -> Self {
        self.most = Some(bytes_a_second);
        self
    }

    /// What QEMU is told, so that there is a block device of this name.
    pub(super) fn arguments(&self, node: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut file = json!({ "driver": "file", "filename": self.path, "read-only": self.read_only });
        let read_errors = self
            .unreadable
            .iter()
            .map(|sector| json!({ "event": "read_aio", "iotype": "read", "sector": sector, "errno": 5, "once": false }));
        let mut errors: Vec<Value> = read_errors.collect();
        if self.refuses_writes {
            errors.push(json!({ "event": "write_aio", "iotype": "write", "errno": 5, "once": false }));
        }
        if !errors.is_empty() {
            file = json!({ "driver": "blkdebug", "image": file, "inject-error": errors });
        }
        let format = if self.most.is_some() { format!("{node}-file") } else { node.to_owned() };
        let disk =
            json!({ "driver": self.format, "node-name": format, "file": file, "read-only": self.read_only });
        arguments.extend(["-blockdev".to_owned(), disk.to_string()]);
        if let Some(most) = self.most {
            let group = json!({ "qom-type": "throttle-group", "id": format!("{node}-pace"), "limits": { "bps-total": most } });
            let paced = json!({ "driver": "throttle", "node-name": node, "throttle-group": format!("{node}-pace"),
                "file": format, "read-only": self.read_only });
            arguments.splice(0..0, ["-object".to_owned(), group.to_string()]);
            arguments.extend(["-blockdev".to_owned(), paced.to_string()]);
        }
        arguments
    }
}
