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

/// Ports of q35 (QEMU's docs/specs/acpi_pci_hotplug): which bus, the slots on it that wait to be emptied, and those to be.
const SELECT_BUS: u16 = 0xcd0;
const WAITING: u16 = 0xcc4;
const EJECT: u16 = 0xcc8;
/// More buses with slots than any machine here has.
const BUSES: u32 = 16;

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
        let mut ask = |line: String| {
            ports.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
            let mut answer = String::new();
            ports.read_line(&mut answer).unwrap();
            answer
                .trim_end()
                .strip_prefix("OK")
                .unwrap_or_else(|| panic!("{line}: {answer}"))
                .trim()
                .to_owned()
        };
        // Every slot has a bus of its own; on one of them something waits for consent.
        let mut given = 0;
        for bus in 0..BUSES {
            ask(format!("outl {SELECT_BUS:#x} {bus}"));
            let waiting = ask(format!("inl {WAITING:#x}"));
            if u32::from_str_radix(waiting.trim_start_matches("0x"), 16).unwrap() != 0 {
                ask(format!("outl {EJECT:#x} {waiting}"));
                given += 1;
            }
        }
        assert_eq!(given, 1, "slots that wait to be emptied");
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
