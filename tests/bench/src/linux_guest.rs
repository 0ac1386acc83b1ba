//! The rival of our kernel: Debian's cloud kernel in the same QEMU, with a busybox for a user space, reading the same tree from
//! squashfs or erofs.

use crate::process;
use anyhow::{Context, Result, bail, ensure};
use plyos_test_vm::vm::Kind;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Modules that the guest needs, in the order in which they can be loaded.
const MODULES: [&str; 10] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/virtio/virtio_mmio.ko",
    "drivers/block/virtio_blk.ko",
    "lib/libcrc32c.ko",
    "fs/erofs/erofs.ko",
    "fs/squashfs/squashfs.ko",
];

/// Longest run of a guest, in seconds.
const LIMIT: &str = "60";
/// A run that fails is begun again.
const TRIES: usize = 3;

/// Kernel and initial RAM disk.
pub struct Guest {
    kernel: PathBuf,
    initrd: PathBuf,
    /// Of the time-stamp counter. Under emulation Linux often cannot calibrate it on a microvm, and then stands still; so it is told,
    /// and need not measure.
    megahertz: u32,
}

/// An image with a file system.
pub struct Image {
    /// The file system, as Linux calls it.
    pub kind: &'static str,
    path: PathBuf,
}

/// What a run of the guest said.
pub struct Run {
    /// From the start of QEMU until the image was mounted.
    pub mounted: Duration,
    /// All lines.
    pub lines: Vec<String>,
}

impl Guest {
    /// Unpacks Debian's kernel package (`$PLYOS_LINUX_DEB`, which tests/setup/bench.sh fetches) and makes an initial RAM disk.
    /// The time-stamp counter runs at so many MHz.
    pub fn make(work: &Path, megahertz: u32) -> Result<Self> {
        let package = std::env::var_os("PLYOS_LINUX_DEB")
            .context("PLYOS_LINUX_DEB names no package; `make bench` sets it")?;
        let (unpacked, root) = (work.join("linux"), work.join("initrd"));
        process::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&unpacked))?;
        let kernel = only(&unpacked.join("boot"), "vmlinuz")?;
        let modules = only(&unpacked.join("lib/modules"), "")?.join("kernel");
        for folder in ["bin", "modules", "proc", "dev", "mnt"] {
            fs::create_dir_all(root.join(folder))?;
        }
        for (number, module) in MODULES.iter().enumerate() {
            let name = Path::new(module).file_name().context("a module has no name")?.to_string_lossy();
            let to = root.join(format!("modules/{number:02}-{name}"));
            fs::copy(modules.join(module), to).with_context(|| format!("copying {module}"))?;
        }
        fs::copy("/bin/busybox", root.join("bin/busybox"))
            .context("copying busybox (package busybox-static)")?;
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
        fs::copy(guest.join("init"), root.join("init"))?;
        process::run(
            Command::new("cc")
                .args(["-O2", "-static", "-o"])
                .arg(root.join("bin/reads"))
                .arg(guest.join("reads.c")),
        )?;
        let initrd = work.join("initrd.cpio");
        process::run(&mut process::pipeline(
            "cd \"$1\" && find . -print0 | cpio --null --create --format=newc --quiet > \"$2\"",
            &[&root, &initrd],
        ))?;
        Ok(Self { kernel, initrd, megahertz })
    }

    /// Boots the guest with an image. With a file of it, and a number of reads, it measures as the console's `bench` does.
    pub fn run(&self, kind: Kind, memory: u32, image: &Image, file: Option<(&str, u32)>) -> Result<Run> {
        let mut last = self.run_once(kind, memory, image, file);
        for _ in 1..TRIES {
            if last.is_ok() {
                break;
            }
            last = self.run_once(kind, memory, image, file);
        }
        last
    }

    fn run_once(&self, kind: Kind, memory: u32, image: &Image, file: Option<(&str, u32)>) -> Result<Run> {
        let (machine, device) = match kind {
            Kind::Q35 => ("q35", "virtio-blk-pci,drive=disk"),
            // Debian's kernel knows devices in memory from ACPI alone.
            Kind::Microvm => ("microvm,acpi=on", "virtio-blk-device,drive=disk"),
        };
        let mut words = format!(
            "console=ttyS0 quiet panic=-1 tsc_early_khz={}000 rdinit=/init plyos.type={}",
            self.megahertz, image.kind
        );
        if let Some((file, reads)) = file {
            words += &format!(" plyos.file={file} plyos.reads={reads}");
        }
        let begun = Instant::now();
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "timeout", "--kill-after=5", LIMIT])
            .args(["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max"])
            .args([
                "-M",
                machine,
                "-m",
                &format!("{memory}M"),
                "-display",
                "none",
                "-nodefaults",
                "-no-reboot",
            ])
            .args(["-serial", "stdio", "-append", &words])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd)
            .arg("-drive")
            .arg(format!("if=none,id=disk,format=raw,readonly=on,file={}", image.path.display()))
            .args(["-device", device])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting QEMU")?;
        let (mut mounted, mut lines) = (None, Vec::new());
        let output = child.stdout.take().context("QEMU has no output")?;
        for line in BufReader::new(output).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            if line.contains("guest: mounted") {
                mounted = Some(begun.elapsed());
            }
            let is_done = line.contains("guest: done");
            lines.push(line);
            if is_done {
                break;
            }
        }
        // It is switching itself off; what it has to say is said.
        child.kill()?;
        child.wait()?;
        match mounted {
            Some(mounted) => Ok(Run { mounted, lines }),
            None => bail!("the Linux guest mounted nothing; it said:\n{}", lines.join("\n")),
        }
    }
}

impl Image {
    /// Both file systems of a tree, compressed as distributions do.
    pub fn both(tree: &Path, work: &Path) -> Result<[Self; 2]> {
        let squashfs = work.join("tree.squashfs");
        let make = ["-comp", "zstd", "-Xcompression-level", "9", "-noappend", "-quiet", "-no-progress"];
        process::run(Command::new("mksquashfs").arg(tree).arg(&squashfs).args(make))?;
        let erofs = work.join("tree.erofs");
        process::run(Command::new("mkfs.erofs").arg("-zlz4hc").arg(&erofs).arg(tree))?;
        Ok([Self { kind: "squashfs", path: squashfs }, Self { kind: "erofs", path: erofs }])
    }
}

/// The only entry of a folder whose name begins so.
fn only(folder: &Path, begins: &str) -> Result<PathBuf> {
    let found: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begins)))
        .collect();
    ensure!(found.len() == 1, "{} has {} entries that begin with '{begins}'", folder.display(), found.len());
    found.into_iter().next().context("it was there a moment ago")
}
