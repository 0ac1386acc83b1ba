//! The files: the image and the pinned roots. Each appears whole or not at all, and nothing is written over.

use super::contents::Gathered;
use super::options::{Format, StoreImage};
use super::workshop::Workshop;
use plyos_disk_image::{Plan, qcow2};
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use plyos_storefile::{Access, FileDevice};
use std::fs::{self, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// Refuses a path at which something is.
pub fn must_be_free(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let line = format!("there is something at {}; remove it first or choose another name", path.display());
    Err(Failure::new(ExitCode::Conflict, line))
}

/// The folder that a file is to be in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the image and the roots beside it; gives the bytes of the image's file.
pub fn write(
    args: &StoreImage,
    gathered: &Gathered<'_>,
    plan: &Plan,
    workshop: &Workshop,
    progress: &Progress,
) -> Result<u64, Failure> {
    let path = args.out.as_path();
    let image = image(args, gathered, plan, workshop, progress)?;
    let len = image.as_file().metadata().or_fail(ExitCode::Failure, writing(path))?.len();
    let roots_path = args.roots_path();
    // In another folder it cannot be made in the workshop, for it is moved from there.
    let beside = folder_of(&roots_path) == folder_of(path);
    let mut roots = new_file(if beside { workshop.path() } else { folder_of(&roots_path) }, &roots_path)?;
    roots.write_all(&gathered.pins.emit()).or_fail(ExitCode::Failure, writing(&roots_path))?;
    for (file, path) in [(&roots, roots_path.as_path()), (&image, path)] {
        file.as_file().sync_all().or_fail(ExitCode::Failure, writing(path))?;
    }
    // What takes its time is done: no signal comes between the two.
    workshop.undisturbed(|| keep_both((roots, &roots_path), (image, path)))?;
    Ok(len)
}

fn image(
    args: &StoreImage,
    gathered: &Gathered<'_>,
    plan: &Plan,
    workshop: &Workshop,
    progress: &Progress,
) -> Result<NamedTempFile, Failure> {
    let path = args.out.as_path();
    let raw = new_file(workshop.path(), path)?;
    raw.as_file().set_len(plan.len()).or_fail(ExitCode::Failure, writing(path))?;
    let device = FileDevice::open(raw.path(), Access::Write).or_fail(ExitCode::Failure, writing(path))?;
    let bar = progress.bytes("writing chunks", plan.stored_bytes());
    let written =
        plyos_disk_image::write(&device, &gathered.contents, plan, gathered, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    written.map(drop).or_fail(ExitCode::Store, writing(path))?;
    match args.format {
        Format::Raw => Ok(raw),
        Format::Qcow2 => {
            let packed = new_file(workshop.path(), path)?;
            let mut out = BufWriter::with_capacity(1 << 20, packed.as_file());
            let written = qcow2::write(&device, plan.used_len(), &mut out).and_then(|()| out.flush());
            written.or_fail(ExitCode::Failure, writing(path))?;
            drop(out);
            Ok(packed)
        }
    }
}

/// A file in this folder, to become the one at `path`, and gone again unless it is kept. Readable for all, as stores are.
fn new_file(folder: &Path, path: &Path) -> Result<NamedTempFile, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".plyos-image-").permissions(Permissions::from_mode(0o644));
    builder.tempfile_in(folder).or_fail(ExitCode::Failure, writing(path))
}

/// Keeps both, whose bytes are on the disk, or neither: roots that were left behind would be in the way of the next try.
fn keep_both(roots: (NamedTempFile, &Path), image: (NamedTempFile, &Path)) -> Result<(), Failure> {
    let roots_path = roots.1;
    keep(roots.0, roots_path)?;
    keep(image.0, image.1).inspect_err(|_| {
        // What went wrong with the image is what is told.
        let _ = fs::remove_file(roots_path);
    })
}

fn keep(file: NamedTempFile, path: &Path) -> Result<(), Failure> {
    file.persist_noclobber(path).map(drop).or_fail(ExitCode::Failure, writing(path))
}

fn writing(path: &Path) -> String {
    format!("writing {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_cannot_be_kept_leaves_no_roots_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (image, roots) = (folder.path().join("disk"), folder.path().join("disk.roots"));
        let keep = || {
            let file = |path: &Path| new_file(folder.path(), path).unwrap();
            keep_both((file(&roots), roots.as_path()), (file(&image), image.as_path()))
        };
        fs::write(&image, "somebody was faster").unwrap();
        assert!(keep().is_err());
        assert!(must_be_free(&roots).is_ok());
        assert_eq!(fs::read(&image).unwrap(), b"somebody was faster");
        fs::remove_file(&image).unwrap();
        assert!(keep().is_ok() && image.exists() && roots.exists());
    }
}
