//! A file as a block device, whose writes the kernel counts.

use crate::process;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of the sectors in which the kernel counts, whatever the device's own are.
const SECTOR: u64 = 512;
/// Where "sectors written" stands in a device's `stat` (kernel documentation, `block/stat`).
const SECTORS_WRITTEN: usize = 6;

/// A loop device over a file, detached when dropped.
pub struct LoopDevice {
    path: PathBuf,
}

impl LoopDevice {
    /// Attaches a new sparse file of `size` bytes to a free loop device. Needs root.
    pub fn attach(file: &Path, size: u64) -> Result<Self> {
        std::fs::File::create(file)
            .and_then(|file| file.set_len(size))
            .with_context(|| format!("making {}", file.display()))?;
        let (_, output) = process::run(Command::new("losetup").args(["--find", "--show"]).arg(file))?;
        Ok(Self { path: PathBuf::from(String::from_utf8(output)?.trim()) })
    }

    /// Path of the device.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that have reached the device since it was made.
    pub fn written(&self) -> Result<u64> {
        let name = self.path.file_name().context("a device without a name")?;
        let stat = Path::new("/sys/block").join(name).join("stat");
        let text = std::fs::read_to_string(&stat).with_context(|| format!("reading {}", stat.display()))?;
        sectors_written(&text).map(|sectors| sectors * SECTOR)
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if let Err(error) = process::run(Command::new("losetup").arg("--detach").arg(&self.path)) {
            eprintln!("bench: {error}");
        }
    }
}

fn sectors_written(stat: &str) -> Result<u64> {
    let field = stat.split_whitespace().nth(SECTORS_WRITTEN).context("a block device's stat is too short")?;
    field.parse().with_context(|| format!("reading '{field}' in a block device's stat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_sectors_are_the_seventh_number() {
        let stat = "     103        0     5464        4        9        0       17        3        0        8        8\n";
        assert_eq!(sectors_written(stat).unwrap(), 17);
        assert!(sectors_written("1 2 3").is_err());
    }
}
