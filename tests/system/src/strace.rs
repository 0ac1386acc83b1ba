//! Killing a program at one of its system calls: `strace` counts what a command calls, and kills it at the N-th.
//!
//! [`points`] runs a command once and gives every place at which it can be killed; [`killed`] runs it and kills it there,
//! as the call is entered, so that the call has no effect. strace counts for each call and each thread by itself.

use crate::programs::{Ended, run};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What changes a file, its locks or its name. Not `write`: only pipes and terminals are written that way, and a client of
/// HTTP wakes itself with it as often as it likes.
const CALLS: &str = "pwrite64,fdatasync,fsync,ftruncate,fcntl,rename,renameat2,unlink,unlinkat";

/// A place at which a command is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    call: String,
    number: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {}", self.call, self.number)
    }
}

/// Whether strace is here and may trace; when not, says so, for the test that does nothing then.
pub fn usable() -> bool {
    let tried = Command::new("strace").args(["-f", "-qq", "-e", "trace=none", "true"]).output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("SKIPPED: nothing is killed here, for strace cannot be used: {why}");
    false
}

/// Runs a command to its end and gives every place at which it can be killed, in no order of time; `scratch` is a file
/// for the trace.
pub fn points(command: &Command, scratch: &Path) -> (Vec<Point>, Ended) {
    let ended = run(&mut under(command, &["-o", scratch.to_str().unwrap(), "-e", &format!("trace={CALLS}")]));
    let mut threads: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in fs::read_to_string(scratch).unwrap().lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        // Signals, ends of threads and second halves of interrupted calls have no name before a bracket.
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if CALLS.split(',').any(|known| known == call) {
            *threads.entry((call.to_owned(), thread.to_owned())).or_default() += 1;
        }
    }
    let mut most: BTreeMap<String, usize> = BTreeMap::new();
    for ((call, _), count) in threads {
        let known = most.entry(call).or_default();
        *known = (*known).max(count);
    }
    let of =
        |(call, count): (String, usize)| (1..=count).map(move |number| Point { call: call.clone(), number });
    (most.into_iter().flat_map(of).collect(), ended)
}

/// Runs a command and kills it at `point`.
///
/// # Panics
/// When it came to its end instead.
pub fn killed(command: &Command, point: &Point) {
    let Point { call, number } = point;
    let inject = format!("inject={call}:signal=SIGKILL:when={number}");
    let ended = run(&mut under(command, &["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]));
    assert_eq!(ended.code, None, "{} was not killed at {point}: {}", ended.line, ended.stderr);
}

/// The command, with each call of one name held up for a while. The process that is started is the command itself (`-D`), so
/// that it can be killed; strace ends with it.
pub fn slowed(command: &Command, call: &str, by: Duration) -> Command {
    let inject = format!("inject={call}:delay_enter={}", by.as_micros());
    under(command, &["-D", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject])
}

/// The command, traced with these options.
fn under(command: &Command, options: &[&str]) -> Command {
    let mut traced = Command::new("strace");
    traced.env_clear().stdin(std::process::Stdio::null());
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.args(["-f", "-qq"]).args(options).arg(command.get_program()).args(command.get_args());
    traced
}
