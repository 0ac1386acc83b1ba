//! The console: a prompt, a line, an answer.

use alloc::string::String;

use crate::{
    command::{self, COMMANDS, Command, Usage},
    commands::{files, find, generations, machine as about, measure, sums},
    editor::{Edit, Editor, History},
    failure::{Failure, said},
    glyph,
    machine::Machine,
    system::System,
    terminal::{Interrupted, Out, Terminal},
    typed::Typed,
    words,
};

/// What stands before each line: what a test harness waits for.
pub const PROMPT: &str = "plyos> ";

/// What the console is to tell about.
#[derive(Debug)]
pub enum Standing<'a, S> {
    /// A generation is mounted.
    Mounted(&'a S),
    /// Nothing could be mounted, for these reasons, a line each.
    Rescue(&'a [String]),
}

impl<'a, S: System> Standing<'a, S> {
    fn system(&self) -> Result<&'a S, Failure> {
        match self {
            Self::Mounted(system) => Ok(system),
            Self::Rescue(_) => {
                Err(said!("nothing is mounted; 'status' says why, 'log' and 'lsblk' may tell more"))
            }
        }
    }
}

/// What the machine is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Start again.
    Reboot,
    /// Turn itself off.
    PowerOff,
}

/// What came of a look at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing was typed.
    Idle,
    /// A byte was dealt with.
    Done,
    /// A command ended with a wish.
    Wish(Wish),
}

/// The console.
#[derive(Debug)]
pub struct Console {
    editor: Editor,
    typed: Typed,
}

impl Default for Console {
    fn default() -> Self {
        Self { editor: Editor::new(PROMPT.len()), typed: Typed::default() }
    }
}

impl Console {
    /// Says what is there, and shows the first prompt.
    pub fn greet<S: System>(&mut self, standing: Standing<'_, S>, terminal: &mut impl Terminal) {
        let out = &mut Out { terminal, typed: &mut self.typed };
        let greeted = match standing {
            Standing::Mounted(system) => generations::greet(system, out),
            Standing::Rescue(reasons) => generations::say_rescue(reasons, out),
        };
        let greeted = greeted
            .and_then(|()| out.line(format_args!("'help' lists the commands.")).map_err(Failure::from));
        if greeted.is_err() {
            // Ctrl-C at a greeting leads to the prompt, as it does later.
            out.typed.take_interrupt();
        }
        show(out, PROMPT);
    }

    /// Deals with the next byte that was typed. When it ends a line, the command has run before this returns.
    pub fn turn<S: System>(
        &mut self,
        machine: &impl Machine,
        standing: Standing<'_, S>,
        terminal: &mut impl Terminal,
    ) -> Turn {
        let Some(byte) = self.typed.next().or_else(|| terminal.receive()) else { return Turn::Idle };
        let out = &mut Out { terminal, typed: &mut self.typed };
        let mut echo = String::new();
        let edit = self.editor.key(byte, &mut echo);
        show(out, &echo);
        match edit {
            Edit::Going => return Turn::Done,
            Edit::Dropped => {}
            Edit::Line(line) => match run(&line, self.editor.history(), machine, standing, out) {
                Ok(Some(wish)) => return Turn::Wish(wish),
                Ok(None) => {}
                Err(Failure::Interrupted(_)) => {
                    out.typed.take_interrupt();
                    show(out, "^C\r\n");
                }
                Err(Failure::Said(why)) => show(out, &(glyph::line(&why) + "\r\n")),
            },
            Edit::Cleared => {
                show(out, PROMPT);
                let mut line = String::new();
                self.editor.redraw(&mut line);
                show(out, &line);
                return Turn::Done;
            }
        }
        show(out, PROMPT);
        Turn::Done
    }
}

/// Runs a line.
fn run<S: System>(
    line: &[u8],
    history: &History,
    machine: &impl Machine,
    standing: Standing<'_, S>,
    out: &mut Out<'_, impl Terminal>,
) -> Result<Option<Wish>, Failure> {
    let Some(command) = command::parse(line)? else { return Ok(None) };
    match command {
        Command::Ls { path, long } => files::list(&*standing.system()?.shown(), &path, long, out)?,
        Command::Cat(path) => files::show(&*standing.system()?.shown(), &path, out)?,
        Command::Stat(path) => files::tell(&*standing.system()?.shown(), &path, out)?,
        Command::Sum { path, range } => sums::tell(&*standing.system()?.shown(), &path, range, out)?,
        Command::Find { path, detail } => find::run(&*standing.system()?.shown(), &path, detail, out)?,
        Command::Mounts => generations::mounts(&*standing.system()?.shown(), out)?,
        Command::Generations => generations::list(standing.system()?, out)?,
        Command::Switch(number) => {
            let now = machine.wall_clock();
            generations::switch(standing.system()?, number, now, out)?;
        }
        Command::Status => generations::status(&standing, machine, out)?,
        Command::Free => about::free(machine, &standing, out)?,
        Command::Lsblk => about::disks(machine, out)?,
        Command::Net => about::network(machine, out)?,
        Command::Log { least, last } => about::log(machine, least, last, out)?,
        Command::Bench { path, reads } => measure::run(standing.system()?, machine, &path, reads, out)?,
        Command::History => {
            for line in history.lines() {
                out.line(format_args!("{}", glyph::text(line)))?;
            }
        }
        Command::Help(None) => COMMANDS.iter().try_for_each(|usage| help(usage, out))?,
        Command::Help(Some(usage)) => help(usage, out)?,
        Command::Reboot => return Ok(Some(Wish::Reboot)),
        Command::PowerOff => return Ok(Some(Wish::PowerOff)),
        Command::Clear => out.raw("\x1b[H\x1b[2J")?,
        Command::Echo(said) => {
            let said: alloc::vec::Vec<String> = said.iter().map(|word| words::shown(word)).collect();
            out.line(format_args!("{}", said.join(" ")))?;
        }
    }
    Ok(None)
}

/// Columns of a name with what it takes, in `help`. What needs more has a line of its own, so that none is longer than 80.
const USAGE_COLUMNS: usize = 24;

fn help(usage: &Usage, out: &mut Out<'_, impl Terminal>) -> Result<(), Interrupted> {
    let what = [usage.name, usage.takes].join(" ");
    let mut what = what.trim_end();
    if what.len() > USAGE_COLUMNS {
        out.line(format_args!("{what}"))?;
        what = "";
    }
    out.line(format_args!("{what:<USAGE_COLUMNS$} {}", usage.does))
}

/// Shows what is shown in any case; a Ctrl-C that comes meanwhile waits for who looks next.
fn show(out: &mut Out<'_, impl Terminal>, text: &str) {
    let _ = out.raw(text);
}

#[cfg(test)]
mod tests;
