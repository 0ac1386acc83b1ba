//! A mount of a target's store: `pkg mount` as it runs on a host, taken off when this is dropped.

use crate::programs::{Running, wait_for};
use crate::target::Target;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mount.
#[derive(Debug)]
pub struct Mount {
    dir: PathBuf,
    log: PathBuf,
    /// `None` when it was taken.
    supervisor: Option<Running>,
}

impl Mount {
    /// Mounts the target's store on `name` beside it, with more options of `pkg mount`. `None`, said on stderr, where FUSE
    /// cannot be used: the test does nothing then.
    pub fn of(target: &Target, name: &str, options: &[&str]) -> Option<Self> {
        if !usable() {
            eprintln!("SKIPPED: nothing is mounted here, for FUSE cannot be used");
            return None;
        }
        let (dir, log) = (target.beside(name), target.beside(&format!("{name}.log")));
        fs::create_dir_all(&dir).unwrap();
        // Its own stderr is a file, so that it can be looked at while it runs.
        let mut command = Command::new("sh");
        let pkg = target.command(&[]);
        command.env_clear().envs(pkg.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).args(["-c", "log=$1; shift; exec \"$@\" 2>>\"$log\"", "sh"]);
        command.arg(&log).arg(pkg.get_program()).arg("mount").args(options).arg(&dir);
        let mount = Self { dir, log, supervisor: Some(Running::start(&mut command)) };
        wait_for("the mount", || {
            assert!(!mount.said().starts_with("pkg: "), "{}", mount.said());
            mount.is_there().then_some(())
        });
        Some(mount)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in the mount, given as an absolute one of the namespace.
    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.join(path.trim_start_matches('/'))
    }

    /// What it said on stderr.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it is mounted, and its server answers.
    pub fn is_there(&self) -> bool {
        is_mounted(&self.dir) && fs::read_dir(&self.dir).is_ok()
    }

    /// Process ids of the servers, by which the kernel is answered.
    pub fn servers(&self) -> Vec<u32> {
        let dir = self.dir.to_str().unwrap();
        processes()
            .filter(|(_, line)| line.iter().any(|arg| arg == dir) && line.iter().any(|arg| arg == "server"))
            .map(|(id, _)| id)
            .collect()
    }

    /// What runs the mount; it is not ended by this any more.
    pub fn take_supervisor(&mut self) -> Running {
        self.supervisor.take().unwrap()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whatever state a failed test left it in.
        for _ in 0..5 {
            if !is_mounted(&self.dir) {
                break;
            }
            let _ = Command::new("umount").arg("-l").arg(&self.dir).stderr(Stdio::null()).status();
        }
    }
}

/// Whether FUSE can be used here.
pub fn usable() -> bool {
    let device = fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    device && (is_root || Command::new("fusermount3").arg("-V").output().is_ok())
}

/// Whether something is mounted on `dir`.
pub fn is_mounted(dir: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let dir = dir.to_str().unwrap();
    table.lines().any(|line| line.split(' ').nth(4) == Some(dir))
}

/// Command lines of all processes.
fn processes() -> impl Iterator<Item = (u32, Vec<String>)> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let arguments = line.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned());
        Some((id, arguments.collect()))
    })
}

/// Ends a process by SIGKILL.
pub fn kill(id: u32) {
    let done = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status().unwrap();
    assert!(done.success(), "process {id} was not killed");
}
