//! Which commands there are, and what a line of words asks for.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use plyos_kernel_logic::Level;

use crate::{
    failure::{Failure, said},
    words,
};

/// A command as it is listed by `help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it does.
    pub does: &'static str,
}

const fn usage(name: &'static str, takes: &'static str, does: &'static str) -> Usage {
    Usage { name, takes, does }
}

/// All commands, in the order in which `help` tells of them.
pub const COMMANDS: [Usage; 20] = [
    usage("ls", "[-l] [PATH]", "what is in a directory"),
    usage("cat", "PATH", "a file's text; bytes that cannot be shown as \\xHH"),
    usage("stat", "PATH", "all that is known of a path"),
    usage("sum", "[-o OFFSET] [-n LENGTH] PATH", "BLAKE3 and SHA-256 of a file, or of a part of it"),
    usage("find", "[-c | -l [-s]] [PATH]", "every path; -c counts them, -l all facts, -s SHA-256"),
    usage("mounts", "", "the layers that are mounted, and where"),
    usage("generations", "", "the generations of the store"),
    usage("switch", "NUMBER", "another generation, now and after a restart"),
    usage("status", "", "what is shown, and how the machine is"),
    usage("free", "", "memory"),
    usage("lsblk", "", "block devices"),
    usage("net", "", "the network"),
    usage("log", "[-n LINES] [error|warning|info|debug]", "the last lines of the log"),
    usage("bench", "[-r READS] PATH", "how fast a file is read, and hashing alone"),
    usage("history", "", "the lines that were typed"),
    usage("help", "[COMMAND]", "this list"),
    usage("reboot", "", "starts the machine again"),
    usage("poweroff", "", "turns the machine off"),
    usage("clear", "", "an empty screen"),
    usage("echo", "[WORD]…", "the words, as names are shown here"),
];

/// How many lines `log` shows if nobody says.
const LOG_LINES: usize = 40;

/// How many random reads `bench` does if nobody says.
const BENCH_READS: u32 = 1000;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Ls { path: Vec<u8>, long: bool },
    Cat(Vec<u8>),
    Stat(Vec<u8>),
    Sum { path: Vec<u8>, range: Range<u64> },
    Find { path: Vec<u8>, detail: Detail },
    Mounts,
    Generations,
    Switch(u64),
    Status,
    Free,
    Lsblk,
    Net,
    Log { least: Level, last: usize },
    Bench { path: Vec<u8>, reads: u32 },
    History,
    Help(Option<&'static Usage>),
    Reboot,
    PowerOff,
    Clear,
    Echo(Vec<Vec<u8>>),
}

/// How much `find` tells of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Count,
    Path,
    Facts,
    FactsAndSum,
}

/// What a line asks for; `None` for one without words.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Command>, Failure> {
    let words = words::split(line).map_err(|error| said!("{error}"))?;
    let Some((name, arguments)) = words.split_first() else { return Ok(None) };
    let Some(usage) = find(name) else {
        let shown = words::shown(name);
        return Err(said!("cannot run {shown}: there is no such command; 'help' lists all of them"));
    };
    let mut arguments = Arguments { usage, words: arguments.to_vec() };
    let command = match usage.name {
        "ls" => {
            let long = arguments.flag(b"-l");
            Command::Ls { long, path: arguments.optional_path()? }
        }
        "cat" => Command::Cat(arguments.path()?),
        "stat" => Command::Stat(arguments.path()?),
        "sum" => {
            let offset = arguments.option(b"-o")?.unwrap_or(0);
            let length = arguments.option(b"-n")?.unwrap_or(u64::MAX);
            Command::Sum { path: arguments.path()?, range: offset..offset.saturating_add(length) }
        }
        "find" => {
            let detail = match [b"-c", b"-l", b"-s"].map(|flag| arguments.flag(flag)) {
                [false, false, false] => Detail::Path,
                [true, false, false] => Detail::Count,
                [false, true, false] => Detail::Facts,
                [false, true, true] => Detail::FactsAndSum,
                [false, false, true] => return Err(arguments.wrong("-s goes with -l only")),
                [true, ..] => return Err(arguments.wrong("-c goes with no other option")),
            };
            Command::Find { detail, path: arguments.optional_path()? }
        }
        "mounts" => Command::Mounts,
        "generations" => Command::Generations,
        "switch" => Command::Switch(arguments.number("a generation's number is missing")?),
        "status" => Command::Status,
        "free" => Command::Free,
        "lsblk" => Command::Lsblk,
        "net" => Command::Net,
        "log" => {
            let last = arguments
                .option(b"-n")?
                .map_or(LOG_LINES, |last| usize::try_from(last).unwrap_or(usize::MAX));
            Command::Log { last, least: arguments.level()? }
        }
        "bench" => {
            let reads = arguments.option(b"-r")?.map_or(Ok(BENCH_READS), u32::try_from);
            let reads = reads.map_err(|_| arguments.wrong("so many reads would never end"))?;
            Command::Bench { path: arguments.path()?, reads }
        }
        "history" => Command::History,
        "help" => Command::Help(arguments.command()?),
        "reboot" => Command::Reboot,
        "poweroff" => Command::PowerOff,
        "clear" => Command::Clear,
        _ => Command::Echo(core::mem::take(&mut arguments.words)),
    };
    arguments.end()?;
    Ok(Some(command))
}

fn find(name: &[u8]) -> Option<&'static Usage> {
    COMMANDS.iter().find(|usage| usage.name.as_bytes() == name)
}

/// The words after a command's name. Options are taken from wherever they stand, up to a word `--`; then the others one by one.
struct Arguments {
    usage: &'static Usage,
    words: Vec<Vec<u8>>,
}

/// Behind this word nothing is an option: for names that begin with `-`.
const NO_MORE_OPTIONS: &[u8] = b"--";

impl Arguments {
    /// Where an option stands.
    fn place(&self, option: &[u8]) -> Option<usize> {
        self.words.iter().take_while(|word| *word != NO_MORE_OPTIONS).position(|word| word == option)
    }

    fn flag(&mut self, flag: &[u8]) -> bool {
        self.place(flag).map(|at| self.words.remove(at)).is_some()
    }

    fn option(&mut self, option: &[u8]) -> Result<Option<u64>, Failure> {
        let Some(at) = self.place(option) else { return Ok(None) };
        self.words.remove(at);
        if at == self.words.len() {
            let name = String::from_utf8_lossy(option);
            return Err(self.wrong(&alloc::format!("the number after {name} is missing")));
        }
        let word = self.words.remove(at);
        self.read_number(&word).map(Some)
    }

    /// The next word that is no option. All options are taken before.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.words.first().is_some_and(|word| word == NO_MORE_OPTIONS) {
            self.words.remove(0);
        } else if let Some(word) = self.words.first().filter(|word| word.len() > 1 && word.starts_with(b"-"))
        {
            return Err(self.wrong(&alloc::format!("there is no option {}", words::shown(word))));
        }
        Ok((!self.words.is_empty()).then(|| self.words.remove(0)))
    }

    fn number(&mut self, missing: &str) -> Result<u64, Failure> {
        let word = self.next()?.ok_or_else(|| self.wrong(missing))?;
        self.read_number(&word)
    }

    fn read_number(&self, word: &[u8]) -> Result<u64, Failure> {
        let number = core::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        number.ok_or_else(|| self.wrong(&alloc::format!("{} is no number", words::shown(word))))
    }

    fn path(&mut self) -> Result<Vec<u8>, Failure> {
        self.next()?.ok_or_else(|| self.wrong("a path is missing"))
    }

    fn optional_path(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(self.next()?.unwrap_or_else(|| b"/".to_vec()))
    }

    fn level(&mut self) -> Result<Level, Failure> {
        let Some(word) = self.next()? else { return Ok(Level::Info) };
        let level = core::str::from_utf8(&word).ok().and_then(Level::parse);
        level.ok_or_else(|| self.wrong(&alloc::format!("{} is no level", words::shown(&word))))
    }

    fn command(&mut self) -> Result<Option<&'static Usage>, Failure> {
        let Some(name) = self.next()? else { return Ok(None) };
        let known = find(&name);
        known.map(Some).ok_or_else(|| self.wrong(&alloc::format!("{} is no command", words::shown(&name))))
    }

    fn end(&mut self) -> Result<(), Failure> {
        match self.next()? {
            None => Ok(()),
            Some(word) => {
                Err(self.wrong(&alloc::format!("nothing is to be done with {}", words::shown(&word))))
            }
        }
    }

    fn wrong(&self, why: &str) -> Failure {
        let Usage { name, takes, .. } = self.usage;
        let space = if takes.is_empty() { "" } else { " " };
        said!("cannot run {name}: {why}; usage: {name}{space}{takes}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn parsed(line: &str) -> Command {
        parse(line.as_bytes()).unwrap().unwrap()
    }

    fn refused(line: &str) -> String {
        parse(line.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn lines() {
        assert_eq!(parse(b"  ").unwrap(), None);
        assert_eq!(parsed("ls"), Command::Ls { path: b"/".to_vec(), long: false });
        assert_eq!(parsed("ls -l 'a b'"), Command::Ls { path: b"a b".to_vec(), long: true });
        assert_eq!(parsed("sum x"), Command::Sum { path: b"x".to_vec(), range: 0..u64::MAX });
        assert_eq!(parsed("sum -o 5 -n 7 x"), Command::Sum { path: b"x".to_vec(), range: 5..12 });
        assert_eq!(parsed("find -l -s"), Command::Find { path: b"/".to_vec(), detail: Detail::FactsAndSum });
        assert_eq!(parsed("switch 12"), Command::Switch(12));
        assert_eq!(parsed("log -n 3 debug"), Command::Log { least: Level::Debug, last: 3 });
        for line in ["bench /a -r 9", "bench -r 9 /a"] {
            assert_eq!(parsed(line), Command::Bench { path: b"/a".to_vec(), reads: 9 });
        }
        assert_eq!(parsed("sum -n 7 x -o 5"), Command::Sum { path: b"x".to_vec(), range: 5..12 });
        assert_eq!(
            parsed("find / -s -l"),
            Command::Find { path: b"/".to_vec(), detail: Detail::FactsAndSum }
        );
        assert_eq!(parsed("ls -- -l"), Command::Ls { path: b"-l".to_vec(), long: false });
        assert_eq!(parsed("ls -l -- --"), Command::Ls { path: b"--".to_vec(), long: true });
        assert_eq!(parsed("echo -n --"), Command::Echo(alloc::vec![b"-n".to_vec(), b"--".to_vec()]));
        assert_eq!(parsed("help ls"), Command::Help(Some(&COMMANDS[0])));
    }

    #[test]
    fn every_command_is_known_and_what_it_takes_is_said() {
        for usage in &COMMANDS {
            if let Err(error) = parse(usage.name.as_bytes()) {
                let line = error.to_string();
                assert!(line.contains("missing") && line.ends_with(usage.takes), "{line}");
            }
        }
    }

    #[test]
    fn wrong_lines_say_what_to_do() {
        assert_eq!(refused("cat"), "cannot run cat: a path is missing; usage: cat PATH");
        assert_eq!(refused("free x"), "cannot run free: nothing is to be done with x; usage: free");
        assert!(refused("rm -rf /").starts_with("cannot run rm: there is no such command"));
        assert!(refused("switch two").contains("two is no number"));
        assert!(refused("switch").contains("a generation's number is missing"));
        assert!(refused("sum -o x").contains("x is no number"));
        assert!(refused("sum -o").contains("the number after -o is missing"));
        assert!(refused("find -s").contains("-s goes with -l only"));
        assert!(refused("find -l / -c").contains("-c goes with no other option"));
        assert!(refused("ls -la").contains("there is no option -la; usage: ls [-l] [PATH]"));
        assert!(refused("log loud").contains("loud is no level"));
        assert!(refused("ls 'a").contains("is not closed"));
        assert!(refused("\\x1b[2J").starts_with("cannot run \\x1b[2J:"), "names are shown without powers");
    }
}
