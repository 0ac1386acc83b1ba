//! A console with all that it needs, and somebody who types.

use alloc::{
    collections::VecDeque,
    string::{String, ToString},
    vec::Vec,
};

use super::{FakeMachine, FakeSystem};
use crate::{Standing, Turn, Wish, console::Console, terminal::Terminal};

/// A terminal at which keys are typed, some of them while something is shown.
#[derive(Default)]
pub(crate) struct FakeTerminal {
    pub(crate) text: Vec<u8>,
    /// What was typed.
    pub(crate) keys: VecDeque<u8>,
    /// What is typed after so many writes.
    pub(crate) later: Option<(usize, Vec<u8>)>,
}

impl FakeTerminal {
    fn pass(&mut self) {
        match &mut self.later {
            Some((0, keys)) => {
                self.keys.extend(keys.drain(..));
                self.later = None;
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
    }
}

impl Terminal for FakeTerminal {
    fn write(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        self.pass();
    }

    fn receive(&mut self) -> Option<u8> {
        self.keys.pop_front()
    }

    fn breathe(&mut self) {
        self.pass();
    }
}

/// A console with all that it needs.
pub(crate) struct Desk {
    pub(crate) console: Console,
    pub(crate) machine: FakeMachine,
    /// Why nothing is mounted, or what is.
    pub(crate) system: Result<FakeSystem, Vec<String>>,
    pub(crate) wish: Option<Wish>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let system = Ok(FakeSystem::new());
        Self { console: Console::default(), machine: FakeMachine::default(), system, wish: None }
    }

    pub(crate) fn standing(system: &Result<FakeSystem, Vec<String>>) -> Standing<'_, FakeSystem> {
        match system {
            Ok(system) => Standing::Mounted(system),
            Err(reasons) => Standing::Rescue(reasons),
        }
    }

    /// Lets the console look at the terminal until nothing more is typed, or there is a wish.
    pub(crate) fn settle(&mut self, terminal: &mut FakeTerminal) {
        self.wish = loop {
            match self.console.turn(&self.machine, Self::standing(&self.system), terminal) {
                Turn::Idle => break None,
                Turn::Done => {}
                Turn::Wish(wish) => break Some(wish),
            }
        };
    }

    /// Types a line; gives what the terminal showed between the line and the next prompt.
    pub(crate) fn run(&mut self, line: &str) -> String {
        self.answer(line, None)
    }

    /// The same with Ctrl-C after so many writes of the command.
    pub(crate) fn run_for(&mut self, line: &str, writes: usize) -> String {
        self.answer(line, Some(writes))
    }

    fn answer(&mut self, line: &str, writes: Option<usize>) -> String {
        let mut terminal = FakeTerminal { keys: line.bytes().collect(), ..FakeTerminal::default() };
        self.settle(&mut terminal);
        assert_eq!(self.wish, None);
        terminal.text.clear();
        terminal.keys.push_back(b'\r');
        // The end of the line is shown by one write.
        terminal.later = writes.map(|writes| (writes + 1, b"\x03".to_vec()));
        self.settle(&mut terminal);
        let text = String::from_utf8(terminal.text).unwrap();
        let answer = text.strip_prefix("\r\n").unwrap();
        if self.wish.is_some() {
            return answer.to_string();
        }
        let answer = answer.strip_suffix("plyos> ").unwrap();
        assert!(!answer.contains("plyos> "));
        answer.replace("\r\n", "\n")
    }
}
