//! The kernel's console: a line in, its answer out, with the lines of the log apart.

use plyos_kernel_console::PROMPT;

use super::Vm;

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its lines.
    pub lines: Vec<String>,
    /// Lines that the log wrote meanwhile, without their times.
    pub log: Vec<String>,
}

impl Answer {
    /// The one line that it is.
    pub fn line(&self) -> &str {
        match self.lines.as_slice() {
            [line] => line,
            other => panic!("one line was expected: {other:?}"),
        }
    }

    /// All lines.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    fn of(text: &str) -> Self {
        let (mut lines, mut log) = (Vec::new(), Vec::new());
        for line in text.lines() {
            match logged(line) {
                Some(said) => log.push(said.to_owned()),
                None => lines.push(line.to_owned()),
            }
        }
        Self { lines, log }
    }
}

/// `LEVEL: TEXT` of a line of the log, `[SECONDS.MICROS] LEVEL: TEXT`.
pub fn logged(line: &str) -> Option<&str> {
    let (time, said) = line.strip_prefix('[')?.split_once("] ")?;
    let is_time = !time.is_empty() && time.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b' '));
    let level = said.split_once(": ")?.0;
    (is_time && ["error", "warning", "info", "debug"].contains(&level)).then_some(said)
}

impl Vm {
    /// Waits until the console takes a line. Gives what was written before.
    pub fn wait_for_prompt(&mut self) -> String {
        self.read_until(PROMPT)
    }

    /// Types a line and its end.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(line.as_bytes());
        self.type_bytes(b"\r");
    }

    /// Runs a command and waits for the next prompt.
    pub fn run(&mut self, line: &str) -> Answer {
        self.type_line(line);
        self.read_echo(line);
        let read = self.wait_for_prompt();
        Answer::of(read.strip_suffix(PROMPT).unwrap_or(&read))
    }

    /// Reads what the console shows of a line while it is typed, to its end. A line of the log may come before it or within it; it then
    /// begins with an end of line. A line that is too long for the screen is shown otherwise than it was typed; no log may come then.
    fn read_echo(&mut self, line: &str) {
        let mut echo = String::new();
        while line.starts_with(&echo) {
            let read = self.read_until("\n");
            let part = read.trim_end_matches(['\r', '\n']);
            if logged(part).is_none() {
                echo.push_str(part);
            }
            if echo == line {
                break;
            }
        }
    }

    /// The two hashes of a file, BLAKE3 and SHA-256, in hexadecimal.
    pub fn sums(&mut self, path: &str) -> (String, String) {
        let answer = self.run(&format!("sum {path}"));
        match answer.lines.as_slice() {
            [blake3, sha256] if blake3.starts_with("blake3 ") && sha256.starts_with("sha256 ") => {
                (blake3["blake3 ".len()..].to_owned(), sha256["sha256 ".len()..].to_owned())
            }
            other => panic!("sum {path}: {other:?}"),
        }
    }

    /// Turns the machine off by its console.
    pub fn power_off(mut self) {
        self.type_line("poweroff");
        assert!(self.wait().is_off(), "it did not turn itself off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log_are_told_apart() {
        let answer =
            Answer::of("/a\r\n[    1.000250] error: [x] is bad\r\n[not a time] info: x\r\n[1.5] loud: x\r\n");
        assert_eq!(answer.log, ["error: [x] is bad"]);
        assert_eq!(answer.lines, ["/a", "[not a time] info: x", "[1.5] loud: x"]);
    }
}
