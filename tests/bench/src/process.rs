//! A process run to its end, with what it took.

use anyhow::{Context, Result, bail};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wait4::{ResUse, Wait4};

/// What a process and the children it waited for took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// User and system time, of all threads and children.
    pub cpu: Duration,
    /// Peak resident memory in bytes: of the largest single process, where there were several.
    pub peak: u64,
}

impl Usage {
    fn new(wall: Duration, ended: &ResUse) -> Self {
        Self { wall, cpu: ended.rusage.utime + ended.rusage.stime, peak: ended.rusage.maxrss }
    }
}

/// Runs a command to its end; its stdout is returned. A failure carries what it said on stderr.
pub fn run(command: &mut Command) -> Result<(Usage, Vec<u8>)> {
    let line = command_line(command);
    let mut errors = tempfile::tempfile().context("making a file for stderr")?;
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors.try_clone()?)
        .spawn()
        .with_context(|| format!("starting `{line}`"))?;
    let mut output = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut output).with_context(|| format!("reading what `{line}` prints"))?;
    }
    let ended = child.wait4().with_context(|| format!("waiting for `{line}`"))?;
    let usage = Usage::new(begin.elapsed(), &ended);
    if !ended.status.success() {
        let mut said = String::new();
        std::io::Seek::rewind(&mut errors)?;
        errors.read_to_string(&mut said).unwrap_or_default();
        bail!("`{line}` ended with {}: {}", ended.status, said.trim());
    }
    Ok((usage, output))
}

/// Ends a process with SIGTERM and tells what it took in its whole life.
pub fn end(child: &mut Child, started: Instant) -> Result<Usage> {
    let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let id = id.context("the process has no valid id")?;
    rustix::process::kill_process(id, rustix::process::Signal::TERM).context("ending a process")?;
    let ended = child.wait4().context("waiting for a process to end")?;
    Ok(Usage::new(started.elapsed(), &ended))
}

/// A shell pipeline that fails if any part of it does. Arguments are `$1`, `$2`, …
pub fn pipeline(text: &str, arguments: &[&std::path::Path]) -> Command {
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", text, "bash"]).args(arguments);
    command
}

fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_usage_of_a_pipeline() {
        let (usage, output) = run(&mut pipeline("printf 'a b' | tr b c", &[])).unwrap();
        assert_eq!(output, b"a c");
        assert!(usage.peak > 64 * 1024, "peak memory is not in bytes: {}", usage.peak);
    }

    #[test]
    fn children_count() {
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let (usage, _) = run(&mut pipeline(&format!("bash -c '{busy}' | cat"), &[])).unwrap();
        assert!(usage.cpu > Duration::from_millis(10), "{:?}", usage.cpu);
    }

    #[test]
    fn a_failure_says_what_and_why() {
        let failure = run(&mut pipeline("echo no such thing >&2; false | cat", &[])).unwrap_err().to_string();
        assert!(failure.contains("false | cat") && failure.contains("no such thing"), "{failure}");
    }
}
