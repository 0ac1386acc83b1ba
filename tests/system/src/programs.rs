//! Running programs: the two under test and the foreign ones, always with a time-out, in an environment of their own.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long any command may take. Far more than any needs, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often something that is waited for is looked at.
pub const LOOK: Duration = Duration::from_millis(5);

/// A built program, from the folder `PLYOS_BIN` or else the workspace's `target/release`.
///
/// # Panics
/// When it is not there.
pub fn built(name: &str) -> PathBuf {
    let folder = match std::env::var_os("PLYOS_BIN") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release"),
    };
    let path = folder.join(name);
    assert!(path.is_file(), "there is no {}: run `make build` first, or set PLYOS_BIN", path.display());
    path.canonicalize().unwrap()
}

/// A command that sees nothing of the environment but the path and a home of its own.
pub fn command(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).env("TMPDIR", home).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Waits until `done` gives something.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: waited {} s in vain", PATIENCE.as_secs());
        std::thread::sleep(LOOK);
    }
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The command line.
    pub line: String,
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ended {
    /// stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The same, if it ended well.
    pub fn ok(self) -> Self {
        assert_eq!(
            self.code,
            Some(0),
            "{} should have ended well: {}{}",
            self.line,
            self.text(),
            self.stderr
        );
        self
    }

    /// stdout as one JSON document of a command that ended well.
    pub fn json(self) -> serde_json::Value {
        let ended = self.ok();
        match serde_json::from_slice(&ended.stdout) {
            Ok(value) => value,
            Err(error) => {
                panic!("{}: stdout is not one JSON document ({error}): {}", ended.line, ended.text())
            }
        }
    }

    /// The one line on stderr of a command that failed with `code`.
    pub fn refused(self, code: i32) -> String {
        let said = format!("{} ended with {:?}: {}{}", self.line, self.code, self.text(), self.stderr);
        assert_eq!(self.code, Some(code), "expected exit code {code}; {said}");
        let line = self.stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no whole line; {said}"));
        assert!(!line.contains('\n'), "more than one line on stderr; {said}");
        let message = line.split_once(": ").map(|(_, message)| message).unwrap_or_default();
        assert!(message.len() > 10, "the line says nothing; {said}");
        message.to_owned()
    }
}

/// A command that runs; ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts a command and reads what it writes.
    pub fn start(command: &mut Command) -> Self {
        let line = line_of(command);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("starting {line}: {error}"));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { line, child, stdout: Some(collect(stdout)), stderr: Some(collect(stderr)) }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than [`PATIENCE`]; it is ended then.
    #[must_use = "it may have failed"]
    pub fn end(mut self) -> Ended {
        let status = wait_for(&self.line, || self.child.try_wait().unwrap());
        let text = |reader: Option<JoinHandle<Vec<u8>>>| reader.unwrap().join().unwrap();
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ended { line: std::mem::take(&mut self.line), code: status.code(), stdout, stderr }
    }

    /// Sends it a signal by name (`STOP`, `CONT`).
    ///
    /// # Panics
    /// When it has ended already.
    pub fn signal(&mut self, name: &str) {
        assert!(self.child.try_wait().unwrap().is_none(), "{} had ended before it got SIG{name}", self.line);
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.unwrap().success(), "SIG{name} was not sent");
    }

    /// Ends it by SIGKILL, which it cannot see coming.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn kill(mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "{} had ended before it was killed", self.line);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
#[must_use = "it may have failed"]
pub fn run(command: &mut Command) -> Ended {
    Running::start(command).end()
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
