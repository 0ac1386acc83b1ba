//! Work of the bench's own that needs memory, done by a process of its own.
//!
//! Linux hands the peak memory of a process on to what it starts: `wait4` would give every program at least the bench's own
//! peak. So the bench stays small, and calls itself with the name of a piece of work for all that is large.

use crate::figures::{flip, mount, namespace, solve, verify};
use crate::process;
use crate::store::{sparse, synthetic};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Does a piece of work in a process of its own; what it answered. Its arguments are texts and paths.
pub fn start(work: &str, arguments: &[&OsStr]) -> Result<Value> {
    let program = std::env::current_exe().context("finding the bench's own program")?;
    let (_, output) = process::run(Command::new(program).arg(work).args(arguments))?;
    crate::ours::document(&output)
}

/// Does it here, and prints the answer.
pub fn run(work: &str, arguments: &[String]) -> Result<()> {
    let answer = match (work, arguments) {
        ("fill-many", [store, key]) => synthetic::fill_store(Path::new(store), Path::new(key)),
        ("fill-full", [store]) => sparse::fill(Path::new(store)).map(Value::from),
        ("flips", [store, chunks, count]) => flip::flips(Path::new(store), chunks.parse()?, count.parse()?),
        ("namespace", [shape, count]) => namespace::trials(shape, count.parse()?),
        ("mounts", [store, count]) => mount::steps(Path::new(store), count.parse()?),
        ("solve", [source, runs]) => solve::cases(source, runs.parse()?),
        ("read-all", [store]) => verify::read_all(Path::new(store)),
        _ => bail!(
            "'{work}' with {} arguments is nothing that the bench does; run `make bench`",
            arguments.len()
        ),
    }?;
    println!("{answer}");
    Ok(())
}
