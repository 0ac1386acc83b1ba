//! The console: a prompt, a line, an answer.

use alloc::string::{String, ToString};

use crate::{
    command::{self, COMMANDS, Command, Usage},
    commands::{files, find, generations, machine as about, measure, sums},
    editor::{Edit, Editor},
    failure::{Failure, said},
    glyph,
    machine::Machine,
    screen::{Interrupted, Out, Screen},
    system::System,
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

/// The console.
#[derive(Debug)]
pub struct Console {
    editor: Editor,
}

impl Default for Console {
    fn default() -> Self {
        Self { editor: Editor::new(PROMPT.len()) }
    }
}

impl Console {
    /// Says what is there, and shows the first prompt.
    pub fn greet<S: System>(&mut self, standing: Standing<'_, S>, screen: &mut impl Screen) {
        let mut out = Out(screen);
        let greeted = match standing {
            Standing::Mounted(system) => generations::greet(system, &mut out),
            Standing::Rescue(reasons) => generations::say_rescue(reasons, &mut out),
        };
        // Ctrl-C at a greeting leads to the prompt, as it does later.
        let _ = greeted
            .and_then(|()| out.line(format_args!("'help' lists the commands.")).map_err(Failure::from));
        show(out.0, PROMPT);
    }

    /// Takes a byte from the terminal. When it ends a line, the command has run before this returns.
    pub fn key<S: System>(
        &mut self,
        byte: u8,
        machine: &impl Machine,
        standing: Standing<'_, S>,
        screen: &mut impl Screen,
    ) -> Option<Wish> {
        let mut echo = String::new();
        let edit = self.editor.key(byte, &mut echo);
        show(screen, &echo);
        match edit {
            Edit::Going => return None,
            Edit::Dropped => {}
            Edit::Line(line) => match self.run(&line, machine, standing, screen) {
                Ok(wish @ Some(_)) => return wish,
                Ok(None) => {}
                Err(Failure::Interrupted(_)) => show(screen, "^C\r\n"),
                Err(Failure::Said(why)) => show(screen, &(glyph::line(&why) + "\r\n")),
            },
            Edit::Cleared => {
                show(screen, PROMPT);
                let mut line = String::new();
                self.editor.redraw(&mut line);
                show(screen, &line);
                return None;
            }
        }
        show(screen, PROMPT);
        None
    }

    fn run<S: System>(
        &self,
        line: &[u8],
        machine: &impl Machine,
        standing: Standing<'_, S>,
        screen: &mut impl Screen,
    ) -> Result<Option<Wish>, Failure> {
        let out = &mut Out(screen);
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
                for line in self.editor.history().lines() {
                    out.line(format_args!("{}", glyph::text(line)))?;
                }
            }
            Command::Help(None) => COMMANDS.iter().try_for_each(|usage| help(usage, out))?,
            Command::Help(Some(usage)) => help(usage, out)?,
            Command::Reboot => return Ok(Some(Wish::Reboot)),
            Command::PowerOff => return Ok(Some(Wish::PowerOff)),
            Command::Clear => out.0.write(b"\x1b[H\x1b[2J")?,
            Command::Echo(said) => {
                let said: alloc::vec::Vec<String> = said.iter().map(|word| words::shown(word)).collect();
                out.line(format_args!("{}", said.join(" ")))?;
            }
        }
        Ok(None)
    }
}

/// Columns of a name with what it takes, in `help`. What needs more has a line of its own, so that none is longer than 80.
const USAGE_COLUMNS: usize = 24;

fn help(usage: &Usage, out: &mut Out<'_, impl Screen>) -> Result<(), Interrupted> {
    let what = [usage.name, usage.takes].join(" ");
    let mut what = what.trim_end();
    if what.len() > USAGE_COLUMNS {
        out.line(format_args!("{what}"))?;
        what = "";
    }
    out.line(format_args!("{what:<USAGE_COLUMNS$} {}", usage.does))
}

/// Shows what is shown in any case: Ctrl-C at a prompt stops nothing.
fn show(screen: &mut impl Screen, text: &str) {
    if !text.is_empty() {
        let _ = screen.write(text.as_bytes());
    }
}
