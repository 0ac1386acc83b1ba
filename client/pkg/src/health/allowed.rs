//! Which commands may run as a check on this machine: a file outside of the store, with one shell line in each line.
//!
//! A policy is part of the store, and a store is no authority: it may have come from another machine, or from whoever had the
//! disk in hand. So a command of a policy runs only when this file has that very line. `pkg health set --command` adds it, `pkg health
//! clear` takes it away. Addresses (HTTP, TCP) need none: asking them gives no power.

use nix::unistd::geteuid;
use plyos_namespace::generation::{Health, HealthKind};
use plyos_report::{ExitCode, Failure, OrFail};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Names the file, instead of the usual one.
const VARIABLE: &str = "PKG_HEALTH_COMMANDS";
/// Where root has it.
const FOR_ROOT: &str = "/etc/plyos/health-commands";
/// Where others have it, below their configuration.
const FOR_OTHERS: &str = "plyos/health-commands";
/// Longest file that is read, in bytes.
const MAX_LEN: u64 = 256 << 10;
/// Most characters of a foreign command in a message.
const SHOWN: usize = 200;

/// The file and its lines.
#[derive(Debug)]
pub struct Allowed {
    path: PathBuf,
    lines: Vec<String>,
}

impl Allowed {
    /// Reads the file of whoever runs this. One that others could have written is refused.
    pub fn load() -> Result<Self, Failure> {
        Self::of(usual_path()?)
    }

    fn of(path: PathBuf) -> Result<Self, Failure> {
        let doing = format!("reading the allowed health commands in {}", path.display());
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { path, lines: Vec::new() }),
            opened => opened.or_fail(ExitCode::Failure, &doing)?,
        };
        let about = file.metadata().or_fail(ExitCode::Failure, &doing)?;
        let is_own = about.uid() == 0 || about.uid() == geteuid().as_raw();
        let wrong = if !about.is_file() {
            Some("it is no file")
        } else if !is_own || about.mode() & 0o022 != 0 {
            Some("others than you and root may write it; mend its owner and mode (0644)")
        } else if about.len() > MAX_LEN {
            Some("it is longer than 256 KiB")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Err(Failure::new(ExitCode::Failure, format!("{doing}: {wrong}")));
        }
        let mut text = String::new();
        (&file).take(MAX_LEN).read_to_string(&mut text).or_fail(ExitCode::Failure, &doing)?;
        Ok(Self { path, lines: text.lines().map(str::to_owned).collect() })
    }

    fn has(&self, command: &str) -> bool {
        self.lines.iter().any(|line| line == command)
    }

    /// Adds a command; `false` when it was there.
    pub fn add(&mut self, command: &str) -> Result<bool, Failure> {
        if self.has(command) {
            return Ok(false);
        }
        self.lines.push(command.to_owned());
        self.write().map(|()| true)
    }

    /// Takes a command away; `false` when it was not there.
    pub fn remove(&mut self, command: &str) -> Result<bool, Failure> {
        if !self.has(command) {
            return Ok(false);
        }
        self.lines.retain(|line| line != command);
        self.write().map(|()| true)
    }

    /// Replaces the file in one step.
    fn write(&self) -> Result<(), Failure> {
        let write = || {
            let parent = self.path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(parent)?;
            let new = self.path.with_extension(format!("new-{}", std::process::id()));
            let mut file = File::options().write(true).create_new(true).mode(0o644).open(&new)?;
            let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
            fs::rename(&new, &self.path)
        };
        write().or_fail(ExitCode::Failure, format_args!("writing {}", self.path.display()))
    }
}

fn usual_path() -> Result<PathBuf, Failure> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = variable(VARIABLE) {
        return Ok(path);
    }
    if geteuid().is_root() {
        return Ok(FOR_ROOT.into());
    }
    let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    folder.map(|folder| folder.join(FOR_OTHERS)).ok_or_else(|| {
        let line =
            format!("finding the allowed health commands: there is no HOME; name the file by {VARIABLE}");
        Failure::new(ExitCode::Failure, line)
    })
}

/// Why this check may not run here; `None` when it may.
pub fn refusal(health: &Health) -> Result<Option<String>, Failure> {
    if health.kind != HealthKind::Command {
        return Ok(None);
    }
    let allowed = Allowed::load()?;
    Ok((!allowed.has(&health.spec)).then(|| {
        let shown: String = health.spec.chars().take(SHOWN).collect();
        format!(
            "its health check is the command `{shown}`, which does not stand in {}, so it does not run on this machine",
            allowed.path.display()
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_very_line_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/health-commands");
        let mut allowed = Allowed::of(path.clone()).unwrap();
        assert!(!allowed.has("true"));
        assert_eq!(
            (allowed.add("true"), allowed.add("true"), allowed.add("test -e /x")),
            (Ok(true), Ok(false), Ok(true))
        );
        let read = Allowed::of(path.clone()).unwrap();
        assert!(read.has("true") && read.has("test -e /x"));
        assert!(
            !read.has("test -e /x; id")
                && !read.has(" true")
                && !read.has("tru")
                && !read.has("true\ntest -e /x")
        );
        let mut read = read;
        assert_eq!((read.remove("true"), read.remove("true")), (Ok(true), Ok(false)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "test -e /x\n");
        // Nothing is left beside it.
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_write_allows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health-commands");
        fs::write(&path, "true\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(Allowed::of(path.clone()).unwrap_err().message.contains("others"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Allowed::of(path).unwrap().has("true"));
        assert!(Allowed::of(folder.path().to_owned()).is_err());
    }
}
