//! A disk that fails while the machine runs: it refuses everything, says nothing any more, or is pulled out.
//!
//! All of it happens below the device that the machine sees, by QEMU's monitor, and can be mended so, but for the last: that takes
//! the device away, as a hand does that pulls a drive. This kernel, which does not know of such slots, is not asked before; QEMU
//! waits for the machine's consent, which is given in its place, at the ports where ACPI's code would.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use plyos_test_system::programs::wait_for;
use serde_json::{Value, json};

use super::disk::names;
use super::{PATIENCE, Vm, config};

/// Port of the slots' bus, and of the bits of those to be emptied (QEMU's docs/specs/acpi_pci_hotplug, for its q35).
const SELECT_BUS: u16 = 0xcd0;
const EJECT: u16 = 0xcc8;

impl Vm {
    /// From now on every request to this disk fails.
    pub fn disk_refuses(&self, number: usize) {
        let file = names::file(&names::disk(number));
        let errors =
            ["read", "write", "flush"].map(|kind| json!({ "event": "none", "iotype": kind, "errno": 5 }));
        let refusing = names::refusing(&names::disk(number));
        let node =
            json!({ "driver": "blkdebug", "node-name": refusing, "image": file, "inject-error": errors });
        self.monitor().run("blockdev-add", &node);
        self.put_below(number, &refusing);
    }

    /// From now on this disk answers nothing.
    pub fn disk_falls_silent(&self, number: usize) {
        // A byte a second.
        self.bound(number, &json!({ "bps-total": 1 }));
    }

    /// What was wrong with a disk is over; it is not asked for what it owes any more.
    pub fn disk_recovers(&self, number: usize) {
        self.bound(number, &json!({ "bps-total": 0 }));
        self.put_below(number, &names::file(&names::disk(number)));
    }

    /// Pulls a disk out of a machine with PCI.
    pub fn pull_out(&self, number: usize) {
        let mut monitor = self.monitor();
        monitor.run("device_del", &json!({ "id": names::device(&names::disk(number)) }));
        let stream =
            wait_for("the ports", || UnixStream::connect(self.folder.path().join(config::PORTS)).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut ports = BufReader::new(stream);
        let mut write = |port: u16, value: u32| {
            let line = format!("outl {port:#x} {value:#x}\n");
            ports.get_mut().write_all(line.as_bytes()).unwrap();
            let mut answer = String::new();
            ports.read_line(&mut answer).unwrap();
            assert!(answer.starts_with("OK"), "{line}: {answer}");
        };
        // Every slot has a bus of its own and is the only place on it; those of other slots wait for nothing, and nothing happens.
        for bus in 0..16 {
            write(SELECT_BUS, bus);
            write(EJECT, 1);
        }
        monitor.wait_for("DEVICE_DELETED");
    }

    fn bound(&self, number: usize, limits: &Value) {
        let path = format!("/objects/{}", names::pace(&names::disk(number)));
        self.monitor().run("qom-set", &json!({ "path": path, "property": "limits", "value": limits }));
    }

    /// Puts a node in the place of a disk's file. All that is under way ends before, whatever the bound: QEMU drains it.
    fn put_below(&self, number: usize, file: &str) {
        let format = names::format(&names::disk(number));
        let options = json!([{ "driver": "raw", "node-name": format, "file": file }]);
        self.monitor().run("blockdev-reopen", &json!({ "options": options }));
    }
}
