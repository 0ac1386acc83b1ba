//! The folder that holds exported trees: `gen-N`, beside each `.gen-N.id` (which generation of which store it is) and
//! `.gen-N.files` (its ledger), and the link `current`. What is not complete is called `gen-N.part`.

use super::ledger::{self, Row};
use crate::content::View;
use plyos_report::{ExitCode, Failure, OrFail};
use rustix::fs::RenameFlags;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Ledgers that are read, the newest: more would find little and cost memory.
const LEDGERS: usize = 8;

/// The folder, locked: two exports would write and rename the same `.part`.
pub struct Folder<'a> {
    dir: &'a Path,
    lock: File,
}

impl<'a> Folder<'a> {
    /// Makes and locks it, and takes away what an export that was interrupted left.
    pub fn open(dir: &'a Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).or_fail(ExitCode::Failure, format_args!("making {}", dir.display()))?;
        let doing = format!("locking {}", dir.display());
        let lock = File::open(dir).or_fail(ExitCode::Failure, &doing)?;
        lock.lock().or_fail(ExitCode::Failure, &doing)?;
        let folder = Self { dir, lock };
        folder.sweep()?;
        Ok(folder)
    }

    /// The folder itself, open.
    pub const fn handle(&self) -> &File {
        &self.lock
    }

    /// Where a generation's tree is.
    pub fn tree(&self, number: u64) -> PathBuf {
        self.dir.join(format!("gen-{number}"))
    }

    /// Where it is while it is written.
    pub fn part(&self, number: u64) -> PathBuf {
        self.dir.join(format!("gen-{number}.part"))
    }

    fn id(&self, number: u64) -> PathBuf {
        self.dir.join(format!(".gen-{number}.id"))
    }

    /// Where its ledger is.
    pub fn ledger(&self, number: u64) -> PathBuf {
        self.dir.join(format!(".gen-{number}.files"))
    }

    /// Trees with their ledgers, those that were written last first.
    pub fn ledgers(&self) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
        let mut found: Vec<_> = (self.trees()?.into_iter())
            .filter_map(|number| {
                let ledger = self.ledger(number);
                let metadata = std::fs::symlink_metadata(&ledger).ok()?;
                let written = (metadata.mtime(), metadata.mtime_nsec());
                Some((written, number, self.tree(number), ledger))
            })
            .collect();
        found.sort_by_key(|(written, number, ..)| std::cmp::Reverse((*written, *number)));
        Ok(found.into_iter().take(LEDGERS).map(|(_, _, tree, ledger)| (tree, ledger)).collect())
    }

    /// Refuses a tree of another generation that has the same number.
    pub fn check_identity(&self, view: &View) -> Result<(), Failure> {
        let known = std::fs::read_to_string(self.id(view.number)).unwrap_or_default();
        if known.trim_end() == view.id.to_string() {
            return Ok(());
        }
        let line = format!(
            "{} was not exported from this store's generation {}; remove it, or export to another folder",
            self.tree(view.number).display(),
            view.number
        );
        Err(Failure::new(ExitCode::Store, line))
    }

    /// Makes the complete `.part` the generation's tree, in place of one that may be there. All of it is on the disk
    /// before, so that a power cut leaves no tree with holes behind the link.
    pub fn complete(&self, view: &View, rows: &[Row]) -> Result<(), Failure> {
        let (part, tree, id) = (self.part(view.number), self.tree(view.number), self.id(view.number));
        std::fs::write(&id, format!("{}\n", view.id))
            .or_fail(ExitCode::Failure, format_args!("writing {}", id.display()))?;
        ledger::write(&self.ledger(view.number), rows)?;
        rustix::fs::syncfs(&self.lock)
            .or_fail(ExitCode::Failure, format_args!("flushing {}", part.display()))?;
        let doing = format!("renaming {}", part.display());
        if !tree.exists() {
            return std::fs::rename(&part, &tree).or_fail(ExitCode::Failure, &doing);
        }
        // One for the other, so that the link never names nothing.
        rustix::fs::renameat_with(rustix::fs::CWD, &part, rustix::fs::CWD, &tree, RenameFlags::EXCHANGE)
            .or_fail(ExitCode::Failure, &doing)?;
        remove(&part)
    }

    /// Points `current` at a tree by renaming a new link over the old one.
    pub fn switch(&self, number: u64) -> Result<(), Failure> {
        let link = self.dir.join("current");
        let new = self.dir.join(format!(".current.{}", std::process::id()));
        let doing = format!("switching {}", link.display());
        std::os::unix::fs::symlink(format!("gen-{number}"), &new).or_fail(ExitCode::Failure, &doing)?;
        std::fs::rename(&new, &link).or_fail(ExitCode::Failure, &doing)?;
        // So that the link survives a power cut.
        self.lock.sync_all().or_fail(ExitCode::Failure, &doing)
    }

    /// Removes trees until `keep` are left, that of `number` and the others with the highest numbers. Gives the numbers of those
    /// that went.
    pub fn drop_old(&self, number: u64, keep: u32) -> Result<Vec<u64>, Failure> {
        let mut old = self.trees()?;
        old.retain(|other| *other != number);
        old.sort_unstable_by(|a, b| b.cmp(a));
        let old = old.split_off(old.len().min(keep.saturating_sub(1) as usize));
        if old.is_empty() {
            return Ok(old);
        }
        // To remove one of a file's names counts as a change of the file.
        let tree = self.tree(number);
        let mut rows = ledger::read(&self.ledger(number));
        let changed =
            |row: &Row| row.stat(&tree).map(|found| (found.ino(), found.ctime(), found.ctime_nsec()));
        let untouched: Vec<bool> = rows
            .iter()
            .map(|row| changed(row) == Some((row.inode, row.changed.0, row.changed.1.cast_signed())))
            .collect();
        for number in &old {
            // Not a tree any more from here on, whatever comes between.
            let (tree, part) = (self.tree(*number), self.part(*number));
            std::fs::rename(&tree, &part)
                .or_fail(ExitCode::Failure, format_args!("removing {}", tree.display()))?;
            for beside in [self.id(*number), self.ledger(*number)] {
                let _ = std::fs::remove_file(beside);
            }
            remove(&part)?;
        }
        for (row, untouched) in rows.iter_mut().zip(untouched) {
            if let Some((_, seconds, nanoseconds)) = changed(row).filter(|_| untouched) {
                row.changed = (seconds, nanoseconds.cast_unsigned());
            }
        }
        ledger::write(&self.ledger(number), &rows)?;
        Ok(old)
    }

    /// Numbers of the trees that are there.
    fn trees(&self) -> Result<Vec<u64>, Failure> {
        Ok(self.names()?.iter().filter_map(|name| number(name.strip_prefix("gen-")?)).collect())
    }

    fn names(&self) -> Result<Vec<String>, Failure> {
        let doing = format!("looking into {}", self.dir.display());
        let entries = std::fs::read_dir(self.dir).or_fail(ExitCode::Failure, &doing)?;
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.or_fail(ExitCode::Failure, &doing)?.file_name().into_string());
        }
        Ok(names)
    }

    fn sweep(&self) -> Result<(), Failure> {
        for name in self.names()? {
            let path = self.dir.join(&name);
            let beside = name.strip_prefix(".gen-").and_then(|rest| rest.split_once('.'));
            let is_left = match beside {
                Some((of, "id" | "files")) => number(of).is_some_and(|of| !self.tree(of).exists()),
                Some((of, "files.new")) => number(of).is_some(),
                Some(_) => false,
                None => name.strip_prefix(".current.").and_then(number).is_some(),
            };
            if is_left {
                std::fs::remove_file(&path)
                    .or_fail(ExitCode::Failure, format_args!("removing {}", path.display()))?;
            } else if name
                .strip_prefix("gen-")
                .and_then(|rest| rest.strip_suffix(".part"))
                .and_then(number)
                .is_some()
            {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// A number as this program writes it.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn remove(tree: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(tree).or_fail(ExitCode::Failure, format_args!("removing {}", tree.display()))
}
