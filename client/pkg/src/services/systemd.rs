//! What systemd is told, and asked, by `systemctl`.

use plyos_report::{ExitCode, Failure, OrFail};
use std::process::{Command, Stdio};

/// Runs systemctl, whose own words explain a failure.
///
/// # Errors
/// When it cannot be run, or ends with another status than 0.
pub fn systemctl(verb: &str, units: &[String]) -> Result<(), Failure> {
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

/// The same for several units at once; if that fails, for each by itself, so that one does not stand in the way of the others.
/// Gives those for which it succeeded, and the first failure.
pub fn all_or_each(verb: &str, units: &[String]) -> (Vec<String>, Option<Failure>) {
    if units.is_empty() {
        return (Vec::new(), None);
    }
    match systemctl(verb, units) {
        Ok(()) => (units.to_vec(), None),
        Err(first) if units.len() == 1 => (Vec::new(), Some(first)),
        Err(first) => {
            let each = units.iter().filter(|unit| systemctl(verb, &[(*unit).clone()]).is_ok());
            (each.cloned().collect(), Some(first))
        }
    }
}

/// What systemd says of each unit: `active`, `failed`, `inactive` and the like. Nothing when it cannot be asked.
pub fn states(units: &[String]) -> Option<Vec<String>> {
    if units.is_empty() {
        return Some(Vec::new());
    }
    let mut command = Command::new("systemctl");
    // Its status says whether all are active, which is not the question.
    let output = command.arg("is-active").args(units).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let states: Vec<String> = said.lines().map(|line| line.trim().to_owned()).collect();
    (states.len() == units.len()).then_some(states)
}
