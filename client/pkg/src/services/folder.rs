//! The folder of units: what stands there of ours, and what has to happen so that it is what it should be.
//!
//! A unit is written before systemd is told of it, so its text alone does not say what runs. A mark beside it does: it is made before the
//! text is written, and goes when `systemctl` has succeeded. Whoever breaks off in between leaves it to the next look.

use super::systemd::{all_or_each, systemctl};
use super::unit::Unit;
use plyos_report::{ExitCode, Failure, OrFail};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What our units' names begin with.
const OURS: &str = "plyos:";
/// The unit that all others are part of, and that says which store is followed.
pub const TARGET: &str = "plyos-services.target";
/// Held by whoever changes units; its own file, for the folder itself anybody may lock.
const LOCK: &str = ".plyos-services.lock";
/// Longest unit of ours.
const LONGEST: u64 = 4 << 20;

/// What the target says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The store whose active generation decides.
    pub store: PathBuf,
    /// Where that generation lies.
    pub root: PathBuf,
}

/// A unit of ours that stands in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its text.
    pub text: String,
    /// Whether systemd was not yet told of this text, or could not do what it was told.
    pub pending: bool,
}

/// What is to be done with services, or was done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Steps {
    /// Units to be stopped and removed.
    pub stop: Vec<String>,
    /// Units that are new.
    pub start: Vec<String>,
    /// Units that stand there with another text, or whose text does not run yet.
    pub restart: Vec<String>,
}

impl Steps {
    /// From what stands in the folder to what should.
    pub fn between(there: &BTreeMap<String, Standing>, wanted: &[Unit]) -> Self {
        let mut steps = Self::default();
        let gone = |name: &&String| !wanted.iter().any(|unit| unit.name == **name);
        steps.stop = there.keys().filter(gone).cloned().collect();
        for unit in wanted {
            match there.get(&unit.name) {
                None => steps.start.push(unit.name.clone()),
                Some(standing) if standing.pending || standing.text != unit.text => {
                    steps.restart.push(unit.name.clone())
                }
                Some(_) => {}
            }
        }
        steps
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The folder that systemd reads units from.
#[derive(Debug)]
pub struct Folder<'a>(pub &'a Path);

impl Folder<'_> {
    /// Makes the folder and locks it: of two that follow a store one waits, and then looks at the store as it is.
    pub fn lock(&self) -> Result<File, Failure> {
        let path = self.0.join(LOCK);
        let open = || {
            std::fs::create_dir_all(self.0)?;
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.lock().map(|()| file)
        };
        open().or_fail(ExitCode::Failure, format_args!("locking {}", path.display()))
    }

    /// Our units that stand there.
    pub fn units(&self) -> Result<BTreeMap<String, Standing>, Failure> {
        let doing = format!("reading units in {}", self.0.display());
        let mut found = BTreeMap::new();
        let names = match std::fs::read_dir(self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            names => names.or_fail(ExitCode::Failure, &doing)?,
        };
        for entry in names {
            let name = entry.or_fail(ExitCode::Failure, &doing)?.file_name();
            let Some(name) =
                name.to_str().filter(|name| name.starts_with(OURS) && name.ends_with(".service"))
            else {
                continue;
            };
            // What cannot be read as ours is written anew.
            let text = self.read(name)?.unwrap_or_default();
            let pending = self.0.join(mark(name)).exists();
            found.insert(name.to_owned(), Standing { text, pending });
        }
        Ok(found)
    }

    /// What is followed, if anything is.
    pub fn followed(&self) -> Result<Option<Followed>, Failure> {
        let Some(text) = self.read(TARGET)? else { return Ok(None) };
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(PathBuf::from);
        Ok(value("Store=").zip(value("Root=")).map(|(store, root)| Followed { store, root }))
    }

    fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.0.join(name);
        let doing = format!("reading {}", path.display());
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            about => {
                let about = about.or_fail(ExitCode::Failure, &doing)?;
                if !about.is_file() || about.len() > LONGEST {
                    return Ok(Some(String::new()));
                }
                let bytes = std::fs::read(&path).or_fail(ExitCode::Failure, &doing)?;
                Ok(Some(String::from_utf8(bytes).unwrap_or_default()))
            }
        }
    }

    /// Writes the target: from now on the store is followed.
    pub fn follow(&self, followed: &Followed) -> Result<(), Failure> {
        let text = format!(
            "# Written by pkg.\n[Unit]\nDescription=Services of the active Plyos generation\n\n[X-Plyos]\nStore={}\nRoot={}\n",
            followed.store.display(),
            followed.root.display()
        );
        self.write(TARGET, &text)
    }

    /// Does what is to be done, as far as it can be done; gives what was, and the first failure. Services are stopped before their units go, and
    /// all new units are known to systemd before one is started, so that they may need each other.
    pub fn carry_out(&self, steps: &Steps, wanted: &[Unit]) -> (Steps, Result<(), Failure>) {
        let mut done = Steps::default();
        let failed = self.change(steps, wanted, &mut done);
        (done, failed.and_then(|first| first.map_or(Ok(()), Err)))
    }

    fn change(&self, steps: &Steps, wanted: &[Unit], done: &mut Steps) -> Result<Option<Failure>, Failure> {
        let (stopped, not_stopped) = all_or_each("stop", &steps.stop);
        for name in &stopped {
            self.remove(name)?;
            self.remove(&mark(name))?;
        }
        done.stop = stopped;
        let changed =
            wanted.iter().filter(|u| steps.start.contains(&u.name) || steps.restart.contains(&u.name));
        for unit in changed {
            self.write(&mark(&unit.name), "")?;
            self.write(&unit.name, &unit.text)?;
        }
        systemctl("daemon-reload", &[]).map_err(|failure| not_stopped.clone().unwrap_or(failure))?;
        let (restarted, not_restarted) = all_or_each("restart", &steps.restart);
        let (started, not_started) = all_or_each("start", &steps.start);
        for name in restarted.iter().chain(&started) {
            self.remove(&mark(name))?;
        }
        (done.restart, done.start) = (restarted, started);
        Ok(not_stopped.or(not_restarted).or(not_started))
    }

    /// Follows no more.
    pub fn forget(&self) -> Result<(), Failure> {
        self.remove(TARGET)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let (path, new) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        std::fs::create_dir_all(self.0)
            .and_then(|()| std::fs::write(&new, text))
            .and_then(|()| std::fs::rename(&new, &path))
            .or_fail(ExitCode::Failure, format_args!("writing {}", path.display()))
    }

    fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.0.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.or_fail(ExitCode::Failure, format_args!("removing {}", path.display())),
        }
    }
}

/// Name of the mark of a unit that systemd has still to be told of.
fn mark(name: &str) -> String {
    format!(".{name}.pending")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, text: &str) -> Unit {
        Unit { name: name.to_owned(), text: text.to_owned(), not_granted: Vec::new() }
    }

    #[test]
    fn only_what_changed_is_touched() {
        let standing = |text: &str, pending| Standing { text: text.to_owned(), pending };
        let there = [("a", false), ("b", false), ("c", false), ("e", true)]
            .map(|(name, pending)| (name.to_owned(), standing("1", pending)));
        let wanted = [unit("a", "1"), unit("b", "2"), unit("d", "1"), unit("e", "1")];
        let steps = Steps::between(&there.into(), &wanted);
        let expected = Steps {
            stop: vec!["c".to_owned()],
            start: vec!["d".to_owned()],
            restart: ["b", "e"].map(str::to_owned).into(),
        };
        assert_eq!(steps, expected);
        let there = wanted.iter().map(|unit| (unit.name.clone(), standing(&unit.text, false))).collect();
        assert!(Steps::between(&there, &wanted).is_empty());
    }

    #[test]
    fn only_our_own_units_are_seen_and_the_target_says_what_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder(dir.path());
        assert_eq!((folder.units().unwrap().len(), folder.followed().unwrap()), (0, None));
        std::fs::write(dir.path().join("ssh.service"), "other").unwrap();
        std::fs::write(dir.path().join("plyos:site:a:b.service"), "ours").unwrap();
        std::fs::write(dir.path().join("plyos:site:a:c.timer"), "no service").unwrap();
        assert_eq!(folder.units().unwrap().into_keys().collect::<Vec<_>>(), ["plyos:site:a:b.service"]);
        let followed = Followed { store: "/var/lib/a b".into(), root: "/srv/x".into() };
        folder.follow(&followed).unwrap();
        assert_eq!(folder.followed().unwrap(), Some(followed));
        folder.forget().unwrap();
        assert_eq!(folder.followed().unwrap(), None);
    }
}
