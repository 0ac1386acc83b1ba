//! Which machine: what QEMU is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::disk::{Disk, names};

/// The monitor's socket in the machine's folder.
pub(super) const MONITOR: &str = "monitor";
/// The socket by which its ports are written to from outside.
pub(super) const PORTS: &str = "ports";

/// The two machines that the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A PC with PCI.
    #[default]
    Q35,
    /// As small as can be, with virtio in memory.
    Microvm,
}

impl Kind {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Q35, Self::Microvm];

    const fn machine(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            // With ACPI its virtio devices would stand in tables and not on the command line.
            Self::Microvm => "microvm,acpi=off,pit=on,pic=on,rtc=on",
        }
    }

    /// A virtio device of this machine.
    fn device(self, name: &str, options: &str) -> String {
        match self {
            Self::Q35 => format!("virtio-{name}-pci{options}"),
            Self::Microvm => format!("virtio-{name}-device{options}"),
        }
    }
}

/// A machine.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Which one.
    pub kind: Kind,
    /// Its memory in MiB; 0 is 256.
    pub memory: u32,
    /// Its disks, the store's first.
    pub disks: Vec<Disk>,
    /// The pinned roots.
    pub roots: Option<PathBuf>,
    /// Words for the kernel, with blanks between them, besides `panic=exit`.
    pub words: String,
    /// A port of this host's loopback that is forwarded to port 80 of the machine; without one it has no network.
    pub port: Option<u16>,
    /// Its processor in QEMU's words; without them one that has everything.
    pub processor: Option<&'static str>,
    /// Another kernel than the built one.
    pub kernel: Option<PathBuf>,
}

impl Config {
    /// A machine of this kind without disks.
    pub fn new(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// With a store and the roots to check it against.
    #[must_use]
    pub fn with(mut self, store: Disk, roots: &Path) -> Self {
        self.disks.push(store);
        self.roots = Some(roots.to_owned());
        self
    }

    /// With so many MiB of memory.
    #[must_use]
    pub const fn memory(mut self, mebibytes: u32) -> Self {
        self.memory = mebibytes;
        self
    }

    /// With words for the kernel.
    #[must_use]
    pub fn words(mut self, words: &str) -> Self {
        words.clone_into(&mut self.words);
        self
    }

    pub(super) fn command(&self, folder: &Path) -> Command {
        // It ends with whoever started it, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        let memory = if self.memory == 0 { 256 } else { self.memory };
        command.args(["-accel", "tcg", "-cpu", self.processor.unwrap_or("max"), "-display", "none"]);
        command.args(["-nodefaults", "-no-reboot"]);
        command.args(["-no-user-config", "-M", self.kind.machine(), "-m", &format!("{memory}M")]);
        command.args(["-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"]);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        let monitor = folder.join(MONITOR);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", monitor.display())]);
        command.arg("-kernel").arg(self.kernel.clone().unwrap_or_else(kernel));
        command.args(["-append", format!("panic=exit {}", self.words).trim_end()]);
        if let Some(roots) = &self.roots {
            command.arg("-initrd").arg(roots);
        }
        for (number, disk) in self.disks.iter().enumerate() {
            let node = names::disk(number);
            command.args(disk.arguments(&node));
            let mut options = format!(",drive={node}");
            if disk.is_mortal() {
                options += &format!(",id={}", names::device(&node));
                if self.kind == Kind::Q35 {
                    // What is to be pulled out stands in a slot of its own.
                    let slot = format!("pcie-root-port,id=slot{number},chassis={number},slot={number}");
                    command.args(["-device", &slot]);
                    options += &format!(",bus=slot{number}");
                }
            }
            command.args(["-device", &self.kind.device("blk", &options)]);
        }
        if self.kind == Kind::Q35 && self.disks.iter().any(Disk::is_mortal) {
            let ports = folder.join(PORTS);
            command.args(["-qtest", &format!("unix:{},server=on,wait=off", ports.display())]);
            command.args(["-qtest-log", "none"]);
        }
        if let Some(port) = self.port {
            command.args(["-netdev", &format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:80")]);
            let options = match self.kind {
                // Without a file for it, an option ROM would run first.
                Kind::Q35 => ",netdev=net,romfile=",
                Kind::Microvm => ",netdev=net",
            };
            command.args(["-device", &self.kind.device("net", options)]);
        }
        command.args(["-device", &self.kind.device("rng", "")]);
        command
    }
}

/// The built kernel, from `PLYOS_KERNEL` or else the workspace's `target/kernel`.
///
/// # Panics
/// When it is not there.
pub fn kernel() -> PathBuf {
    let path = match std::env::var_os("PLYOS_KERNEL") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kernel/plyos-kernel"),
    };
    assert!(path.is_file(), "there is no {}: run `make kernel` first, or set PLYOS_KERNEL", path.display());
    path
}

/// A free port of the loopback, as good as one can be known before it is taken.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
