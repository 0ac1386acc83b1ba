//! A check that is a command, and the end of everything it started.
//!
//! The shell does not run as a child of this process but of a watcher: this program once more (`pkg watch`), the leader of a
//! process group, whose stdin is a pipe from here. However this process ends, by SIGKILL too, the pipe ends with it, and the watcher kills the
//! group. When the command ends, or its time does, the group is killed from here ([`Group`]): what it left in the background goes as well.

use super::cli::Watch;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpgrp};
use plyos_report::{ExitCode, Failure, OrFail};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// This program, even if its file was replaced meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// How often a command that runs is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a shell line for no longer than `time`; the error says why it is not well. Dropping the future ends the command.
pub async fn run(line: &str, generation: u64, time: Duration) -> Result<(), String> {
    let mut watcher = Command::new(THIS_PROGRAM);
    watcher.args(["watch", "--", line]).env("PKG_GENERATION", generation.to_string());
    watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut group = Group(watcher.spawn().map_err(|error| format!("starting `{line}`: {error}"))?);
    match timeout(time, group.ended()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{line}` ended with {status}")),
        Ok(Err(error)) => Err(format!("waiting for `{line}`: {error}")),
        Err(_) => Err(format!("`{line}` did not end in time")),
    }
}

/// The watcher with all that it leads; killed when this is dropped.
struct Group(Child);

impl Group {
    fn id(&self) -> Pid {
        // Linux gives no greater ones than 2^22.
        Pid::from_raw(i32::try_from(self.0.id()).unwrap_or(i32::MAX))
    }

    /// How the command ended. The watcher is left unreaped until the group is killed, so that its number stands for no other.
    async fn ended(&mut self) -> Result<ExitStatus, String> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(self.id()), flags).map_err(|error| error.to_string())? == WaitStatus::StillAlive
        {
            sleep(LOOK).await;
        }
        self.kill();
        self.0.wait().map_err(|error| error.to_string())
    }

    fn kill(&self) {
        // It fails when all of them have gone.
        let _ = killpg(self.id(), Signal::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once it was reaped its number may be another's.
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.0.wait();
        }
    }
}

/// `pkg watch`: runs a shell line and ends as it does, or with the whole process group when the one who asked is gone.
pub fn watch(args: &Watch) -> Result<(), Failure> {
    let doing = "running a command of a health check";
    let shell = Command::new("sh").args(["-c", &args.line]).stdin(Stdio::null()).spawn();
    let mut shell = shell.or_fail(ExitCode::Failure, doing)?;
    std::thread::spawn(|| {
        // Nothing is ever written to it.
        while matches!(std::io::stdin().read(&mut [0]), Ok(1..)) {}
        let _ = killpg(getpgrp(), Signal::SIGKILL);
    });
    let status = shell.wait().or_fail(ExitCode::Failure, doing)?;
    std::process::exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}
