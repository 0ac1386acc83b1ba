//! Completions and man pages of a program, from the definition that its `--help` comes from.

use crate::{ExitCode, Failure, OrFail, Progress, print_json, put};
use clap::Command;
use serde_json::json;
use std::path::Path;

pub use clap_complete::Shell;

/// Prints the completions of a program for a shell.
///
/// # Errors
/// When they are no text.
pub fn completions(mut program: Command, shell: Shell) -> Result<(), Failure> {
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut program, name, &mut script);
    let script = String::from_utf8(script).or_fail(ExitCode::Failure, "making the completions")?;
    put!("{script}");
    Ok(())
}

/// Writes a page for a program and for each of its commands to a folder.
///
/// # Errors
/// When the folder cannot be made or written.
pub fn pages(program: Command, dir: &Path, progress: &Progress) -> Result<(), Failure> {
    let name = program.get_name().to_owned();
    let doing = format!("writing man pages to {}", dir.display());
    std::fs::create_dir_all(dir).or_fail(ExitCode::Failure, &doing)?;
    clap_mangen::generate_to(spaced(program), dir).or_fail(ExitCode::Failure, &doing)?;
    if progress.json() {
        print_json(&json!({"dir": dir}));
    } else {
        let dir = dir.display();
        progress.step(&format!("Wrote the pages to {dir}; read one with `man -l {dir}/{name}.1`."));
    }
    Ok(())
}

/// The same with an empty line before the examples of each command: a man page runs lines together that have none between.
fn spaced(command: Command) -> Command {
    let apart = command.get_after_help().map(|help| {
        let text = help.to_string();
        text.replace("\nExamples:\n", "\n\nExamples:\n").replace("\nExample:\n", "\n\nExample:\n")
    });
    let command = match apart {
        Some(text) => command.after_help(text),
        None => command,
    };
    command.mut_subcommands(spaced)
}
