//! Real file systems on a disk whose writes and flushes are recorded, and on what such a disk holds after a cut.
//!
//! The kernel that tests run on has no device mapper. So QEMU's storage daemon lays its `blklogwrites` driver over an image
//! file and shows it as a file through FUSE; a loop device makes a disk of that, and the kernel's own file system lies on it.
//! A flush of the file system arrives as a flush in the log. Everything is unmounted, detached and ended when it is dropped.

use crate::block_log::{BlockLog, Disk};
use crate::inventory;
use crate::programs::wait_for;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// How a file system is made, and how long its disk must be.
#[derive(Debug, Clone, Copy)]
pub struct FileSystem {
    /// As `mount -t` knows it.
    pub name: &'static str,
    make: &'static [&'static str],
    len: u64,
}

impl FileSystem {
    /// Makes it in a new image file.
    pub fn make(&self, image: &Path) -> Result<(), String> {
        fs::File::create(image).unwrap().set_len(self.len).unwrap();
        let (make, options) = self.make.split_first().unwrap();
        tool(Command::new(make).args(options).arg(image))
    }
}

/// The file systems that a store is tried on. With blocks of 1 KiB ext4 splits a superblock copy over two writes now and then,
/// so that it tears.
pub const FILE_SYSTEMS: [FileSystem; 3] = [
    FileSystem { name: "ext4", make: &["mkfs.ext4", "-q", "-F", "-b", "1024"], len: 64 << 20 },
    FileSystem { name: "xfs", make: &["mkfs.xfs", "-q", "-f"], len: 320 << 20 },
    FileSystem { name: "btrfs", make: &["mkfs.btrfs", "-q", "-f"], len: 128 << 20 },
];

/// What this machine lacks to record a file system; `None`: nothing.
pub fn missing(system: &FileSystem) -> Option<String> {
    if !inventory::is_root() {
        return Some("only root may mount".to_owned());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(device).exists() {
            return Some(format!("{device} is not there"));
        }
    }
    let help = Command::new("qemu-storage-daemon").arg("--help").stdin(Stdio::null()).output();
    let fuse = help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("type=]fuse"));
    if !fuse {
        return Some("there is no qemu-storage-daemon with FUSE (Debian: qemu-system-common)".to_owned());
    }
    let folder = TempDir::with_prefix("plyos-disk-").unwrap();
    let image = folder.path().join("image");
    let tried =
        system.make(&image).and_then(|()| Mounted::new(&image, &folder.path().join("mounted"), system));
    tried.err().map(|why| format!("it cannot be made and mounted here: {why}"))
}

/// A file system that is mounted from an image file.
#[derive(Debug)]
pub struct Mounted {
    place: PathBuf,
}

impl Mounted {
    /// Mounts it through a loop device, which goes with it; a journal is played back.
    pub fn new(image: &Path, place: &Path, system: &FileSystem) -> Result<Self, String> {
        fs::create_dir_all(place).unwrap();
        tool(Command::new("mount").args(["-o", "loop", "-t", system.name]).arg(image).arg(place))?;
        Ok(Self { place: place.to_owned() })
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.place
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if tool(Command::new("umount").arg(&self.place)).is_err() {
            // Somebody still has a file open; it goes when he does.
            let _ = tool(Command::new("umount").arg("--lazy").arg(&self.place));
        }
    }
}

/// A file system on a disk that is recorded.
#[derive(Debug)]
pub struct RecordedDisk {
    /// Before the daemon, which must outlive it.
    mounted: Option<Mounted>,
    daemon: Daemon,
    /// The disk as it was made.
    made: Disk,
    folder: TempDir,
}

impl RecordedDisk {
    /// Makes a file system and mounts it.
    pub fn new(system: &FileSystem) -> Self {
        let folder = TempDir::with_prefix("plyos-disk-").unwrap();
        let image = folder.path().join("image");
        system.make(&image).unwrap();
        let made = Disk::read(&image);
        let daemon = Daemon::start(folder.path(), system.len);
        let mounted = Mounted::new(&daemon.export, &folder.path().join("mounted"), system).unwrap();
        Self { mounted: Some(mounted), daemon, made, folder }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.mounted.as_ref().map(Mounted::path).unwrap()
    }

    /// Bytes of the log so far: what was written and flushed until now lies in them.
    pub fn log_len(&self) -> u64 {
        fs::metadata(self.folder.path().join("log")).unwrap().len()
    }

    /// Unmounts it, and gives the disk as it was at the beginning and all that was done to it.
    pub fn end(mut self) -> (Disk, BlockLog) {
        drop(self.mounted.take());
        self.daemon.stop();
        (self.made.clone(), BlockLog::read(&self.folder.path().join("log")))
    }
}

/// QEMU's storage daemon, which shows `image` as `export` and writes `log`.
#[derive(Debug)]
struct Daemon {
    child: Child,
    export: PathBuf,
}

impl Daemon {
    fn start(folder: &Path, len: u64) -> Self {
        let [image, log, export] = ["image", "log", "export"].map(|name| folder.join(name));
        fs::write(&log, "").unwrap();
        fs::write(&export, "").unwrap();
        let file =
            |name: &str, path: &Path| format!("driver=file,node-name={name},filename={}", path.display());
        let recorder = "driver=blklogwrites,node-name=recorder,file=disk,log=log,log-sector-size=512";
        let shown = format!(
            "type=fuse,id=shown,node-name=recorder,mountpoint={},writable=on,growable=off",
            export.display()
        );
        let child = Command::new("qemu-storage-daemon")
            .args(["--blockdev", &file("disk", &image), "--blockdev", &file("log", &log)])
            .args(["--blockdev", recorder, "--export", &shown])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, export };
        wait_for("the recorded disk", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "qemu-storage-daemon ended ({ended:?})");
            (fs::metadata(&daemon.export).unwrap().len() == len).then_some(())
        });
        daemon
    }

    /// Ends it in order, so that the log is whole.
    fn stop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            tool(Command::new("kill").arg(self.child.id().to_string())).unwrap();
            wait_for("the end of qemu-storage-daemon", || self.child.try_wait().unwrap());
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        // Only after a failure: it goes at once, and what it has mounted with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = tool(Command::new("umount").arg("--lazy").arg(&self.export));
    }
}

fn tool(command: &mut Command) -> Result<(), String> {
    let ended = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = || format!("{command:?}: {}", String::from_utf8_lossy(&ended.stderr).trim());
    if ended.status.success() { Ok(()) } else { Err(said()) }
}
