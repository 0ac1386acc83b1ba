//! The tools of others, as their users call them.

use crate::contest::Run;
use crate::process::{pipeline, run};
use anyhow::{Context, Result};
use std::path::Path;

/// `tar | zstd` of a tree into a file.
pub fn tar_zstd(tree: &Path, level: u8, archive: &Path) -> Result<Run> {
    let text = format!("tar -c -C \"$1\" . | zstd -q -{level} -T2 >\"$2\"");
    own(run(&mut pipeline(&text, &[tree, archive]))?.0)
}

/// `zstd | tar` of an archive into an empty folder.
pub fn tar_extract(archive: &Path, place: &Path) -> Result<Run> {
    empty(place)?;
    own(run(&mut pipeline("zstd -q -dc \"$1\" | tar -x -C \"$2\"", &[archive, place]))?.0)
}

/// `casync make` of a tree into a chunk store, as it is or new.
pub fn casync_make(tree: &Path, store: &Path, index: &Path) -> Result<Run> {
    own(run(&mut pipeline("casync make --store=\"$1\" \"$2\" \"$3\"", &[store, index, tree]))?.0)
}

/// `restic backup` of a tree into a repository, as it is or new. Making the repository is not counted.
pub fn restic_backup(tree: &Path, repository: &Path) -> Result<Run> {
    let restic = |text: &str, place: &Path| {
        // Its own cache would keep what earlier rounds learnt. The password guards nothing: the repository goes with the run.
        let mut command = pipeline(text, &[repository, place]);
        command.env("RESTIC_PASSWORD", "bench").env("RESTIC_CACHE_DIR", repository.with_extension("cache"));
        run(&mut command)
    };
    if !repository.exists() {
        remove(&repository.with_extension("cache"))?;
        restic("restic -q init --repo \"$1\"", repository)?;
    }
    own(restic("cd \"$2\" && restic -q backup --repo \"$1\" .", tree)?.0)
}

/// Bytes of a blob's stream under `zstd -3`: what it would take as one archive.
pub fn stream_zstd(blob: &Path) -> Result<u64> {
    let (_, count) = run(&mut pipeline("zstd -q -dc \"$1\" | zstd -q -3 -T2 | wc -c", &[blob]))?;
    String::from_utf8_lossy(&count).trim().parse().context("reading what wc counted")
}

/// `casync extract` from a chunk store on the same disk into an empty folder.
pub fn casync_extract(store: &Path, index: &Path, place: &Path) -> Result<Run> {
    empty(place)?;
    own(run(&mut pipeline("casync extract --store=\"$1\" \"$2\" \"$3\"", &[store, index, place]))?.0)
}

/// Makes a folder that is there and empty.
pub fn empty(place: &Path) -> Result<()> {
    remove(place)?;
    std::fs::create_dir_all(place).with_context(|| format!("making {}", place.display()))
}

/// Removes a folder with all in it; none is fine.
pub fn remove(place: &Path) -> Result<()> {
    if place.exists() {
        std::fs::remove_dir_all(place).with_context(|| format!("removing {}", place.display()))?;
    }
    Ok(())
}

/// Bytes of all files below a folder, or of a file.
pub fn bytes(place: &Path) -> Result<u64> {
    let at = std::fs::symlink_metadata(place).with_context(|| format!("reading {}", place.display()))?;
    if !at.is_dir() {
        return Ok(if at.is_file() { at.len() } else { 0 });
    }
    std::fs::read_dir(place)?.map(|entry| bytes(&entry?.path())).sum()
}

fn own(own: crate::process::Usage) -> Result<Run> {
    Ok(Run { own, registry: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("below/five"), b"12345").unwrap();
        std::fs::write(folder.path().join("three"), b"123").unwrap();
        std::os::unix::fs::symlink("three", folder.path().join("link")).unwrap();
        assert_eq!(bytes(folder.path()).unwrap(), 8);
        empty(folder.path()).unwrap();
        assert_eq!(bytes(folder.path()).unwrap(), 0);
        assert!(bytes(&folder.path().join("none")).is_err());
    }
}
