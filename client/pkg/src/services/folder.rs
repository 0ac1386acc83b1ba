//! The folder of units: what stands there of ours, and what has to happen so that it is what it should be.

use super::unit::Unit;
use plyos_report::{ExitCode, Failure, OrFail};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What our units' names begin with.
const OURS: &str = "plyos:";
/// The unit that all others are part of, and that says which store is followed.
pub const TARGET: &str = "plyos-services.target";
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

/// What is to be done with services.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Steps {
    /// Units to be stopped and removed.
    pub stop: Vec<String>,
    /// Units that are new.
    pub start: Vec<String>,
    /// Units that stand there with another text.
    pub restart: Vec<String>,
}

impl Steps {
    /// From what stands in the folder to what should.
    pub fn between(there: &BTreeMap<String, String>, wanted: &[Unit]) -> Self {
        let mut steps = Self::default();
        let gone = |name: &&String| !wanted.iter().any(|unit| unit.name == **name);
        steps.stop = there.keys().filter(gone).cloned().collect();
        for unit in wanted {
            match there.get(&unit.name) {
                None => steps.start.push(unit.name.clone()),
                Some(text) if *text != unit.text => steps.restart.push(unit.name.clone()),
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
    /// Our units that stand there, with their texts.
    pub fn units(&self) -> Result<BTreeMap<String, String>, Failure> {
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
            found.insert(name.to_owned(), self.read(name)?.unwrap_or_default());
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

    /// Does what is to be done. Services are stopped before their units go, and all new units are known to systemd before one is started, so
    /// that they may need each other.
    pub fn carry_out(&self, steps: &Steps, wanted: &[Unit]) -> Result<(), Failure> {
        if !steps.stop.is_empty() {
            systemctl("stop", &steps.stop)?;
        }
        for name in &steps.stop {
            self.remove(name)?;
        }
        for unit in wanted
            .iter()
            .filter(|unit| steps.start.contains(&unit.name) || steps.restart.contains(&unit.name))
        {
            self.write(&unit.name, &unit.text)?;
        }
        systemctl("daemon-reload", &[])?;
        if !steps.restart.is_empty() {
            systemctl("restart", &steps.restart)?;
        }
        if !steps.start.is_empty() {
            systemctl("start", &steps.start)?;
        }
        Ok(())
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

/// Runs systemctl, whose own words explain a failure.
fn systemctl(verb: &str, units: &[String]) -> Result<(), Failure> {
    let doing = format!("`systemctl {verb}`");
    let mut command = Command::new("systemctl");
    command.args(["--no-ask-password", "--quiet", verb]).args(units).stdin(Stdio::null());
    let output = command.output().or_fail(ExitCode::Failure, format_args!("running {doing}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
    let line =
        format!("{doing} ended with {}: {said}; `systemctl status 'plyos:*'` tells more", output.status);
    Err(Failure::new(ExitCode::Failure, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, text: &str) -> Unit {
        Unit { name: name.to_owned(), text: text.to_owned(), not_granted: Vec::new() }
    }

    #[test]
    fn only_what_changed_is_touched() {
        let there =
            [("a", "1"), ("b", "1"), ("c", "1")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let wanted = [unit("a", "1"), unit("b", "2"), unit("d", "1")];
        let steps = Steps::between(&there.into(), &wanted);
        let expected =
            Steps { stop: vec!["c".to_owned()], start: vec!["d".to_owned()], restart: vec!["b".to_owned()] };
        assert_eq!(steps, expected);
        let there = wanted.iter().map(|unit| (unit.name.clone(), unit.text.clone())).collect();
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
