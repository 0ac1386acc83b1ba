//! A store that `pkg` fills from a repository, for as long as the image is being made: it lies in the [`Workshop`].
//!
//! Resolving, fetching and checking is `pkg`'s work, and the program that does it on every target does it here too: it is run
//! as a process, the one beside this program. What it says of a failure is passed on, with its exit code.

use super::options::StoreImage;
use super::workshop::Workshop;
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name of the store in the workshop.
const STORE: &str = "store";

/// Installs the layers that were named into a new store; gives its path.
pub fn fetch(
    args: &StoreImage,
    url: &str,
    workshop: &Workshop,
    progress: &Progress,
) -> Result<PathBuf, Failure> {
    let root = args.root.first().map(String::as_str).unwrap_or_default();
    let store = workshop.path().join(STORE);
    progress.step(&format!("Fetching {} from {url}", args.names.join(", ")));
    let pkg = |words: &[&str]| run(workshop, &store, words);
    pkg(&["repo", "add", url, "--root", root])?;
    pkg(&["update"])?;
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    pkg(&[&["install", "--yes", "--"], names.as_slice()].concat())?;
    Ok(store)
}

fn run(workshop: &Workshop, store: &Path, words: &[&str]) -> Result<(), Failure> {
    let program = beside_this_one().unwrap_or_else(|| PathBuf::from("pkg"));
    let doing = format!("pkg {}", words.first().copied().unwrap_or_default());
    let mut command = Command::new(&program);
    command.arg("--store").arg(store).args(words);
    let (ended, said) = workshop.run(&mut command).or_fail(
        ExitCode::NotFound,
        format_args!("running {} ({doing}); put pkg beside plyos or on the path", program.display()),
    )?;
    if ended.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let line = line.strip_prefix("pkg: ").unwrap_or(line);
    Err(Failure::new(code(ended.code()), format!("{doing}: {line}")))
}

/// The `pkg` that was built or installed together with this program.
fn beside_this_one() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name("pkg");
    path.is_file().then_some(path)
}

/// The same code as `pkg`'s.
fn code(ended: Option<i32>) -> ExitCode {
    match ended {
        Some(2) => ExitCode::Usage,
        Some(3) => ExitCode::NotFound,
        Some(4) => ExitCode::Conflict,
        Some(5) => ExitCode::Signature,
        Some(6) => ExitCode::Machine,
        Some(7) => ExitCode::Store,
        Some(8) => ExitCode::Network,
        _ => ExitCode::Failure,
    }
}
