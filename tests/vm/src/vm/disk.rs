//! Disks of a machine, which may be sick from the start; one that is [`Disk::mortal`] can fall ill while the machine runs
//! ([`super::failing`]).

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
    /// Whether it may fail later.
    mortal: bool,
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
            mortal: false,
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

    /// One that can fail while the machine runs, and be pulled out of a machine with PCI.
    #[must_use]
    pub const fn mortal(mut self) -> Self {
        self.mortal = true;
        self
    }

    pub(super) const fn is_mortal(&self) -> bool {
        self.mortal
    }

    /// What QEMU is told, so that there is a block device of this name. Below it lie, for who changes them while it is used, `NAME-file`
    /// (the file), `NAME-format` (its format), and if there is a bound, `NAME-pace` (not a node but what the bound belongs to).
    pub(super) fn arguments(&self, node: &str) -> Vec<String> {
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
        let is_paced = self.most.is_some() || self.mortal;
        let name = if is_paced { names::format(node) } else { node.to_owned() };
        file["node-name"] = names::file(node).into();
        let format = json!({ "driver": self.format, "node-name": name, "file": names::file(node), "read-only": self.read_only });
        let mut arguments =
            vec!["-blockdev".to_owned(), file.to_string(), "-blockdev".to_owned(), format.to_string()];
        if is_paced {
            // 0 is no bound.
            let limits = json!({ "bps-total": self.most.unwrap_or(0) });
            let group = json!({ "qom-type": "throttle-group", "id": names::pace(node), "limits": limits });
            let paced = json!({ "driver": "throttle", "node-name": node, "throttle-group": names::pace(node),
                "file": name, "read-only": self.read_only });
            arguments.splice(0..0, ["-object".to_owned(), group.to_string()]);
            arguments.extend(["-blockdev".to_owned(), paced.to_string()]);
        }
        arguments
    }
}

/// What the parts below a disk's block device are called.
pub(super) mod names {
    /// The disk with this number in a machine.
    pub fn disk(number: usize) -> String {
        format!("disk{number}")
    }

    /// Its file.
    pub fn file(disk: &str) -> String {
        format!("{disk}-file")
    }

    /// Its format.
    pub fn format(disk: &str) -> String {
        format!("{disk}-format")
    }

    /// The same with every request failing.
    pub fn refusing(disk: &str) -> String {
        format!("{disk}-refusing")
    }

    /// What its bound of bytes a second belongs to.
    pub fn pace(disk: &str) -> String {
        format!("{disk}-pace")
    }

    /// The device that the machine sees, where it can be pulled out.
    pub fn device(disk: &str) -> String {
        format!("{disk}-device")
    }
}
