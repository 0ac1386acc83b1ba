//! A machine for a test: QEMU with the kernel, driven over its serial line.
//!
//! [`Config`] says what machine, [`Vm`] is one that runs. Whatever a test does, the machine ends with its value and at most
//! [`turns::MOST`] run at a time on this host, over all test programs. When the test has failed, all that the machine wrote stays below
//! `target/vm-logs` (`PLYOS_VM_LOGS=1` keeps that of every machine).
//!
//! | module | idea |
//! | --- | --- |
//! | `config` | which machine: QEMU's arguments |
//! | [`disk`] | its disks: plain, failing at given places, slow |
//! | [`failing`] | disks that fail while it runs |
//! | [`store`] | a store as a disk, to be damaged at known places |
//! | `serial` | what it wrote so far, with a lock and a time-out |
//! | [`qmp`] | QEMU's monitor |
//! | `console` | lines in, answers out, log lines apart |
//! | [`listing`] | the lines of `find -l`, to be compared with a folder |
//! | `turns` | how many run at once |

mod config;
mod console;
pub mod disk;
pub mod failing;
pub mod listing;
pub mod qmp;
mod serial;
pub mod store;
pub mod turns;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plyos_test_system::programs::wait_for;
use tempfile::TempDir;

pub use config::{Config, Kind, free_port, kernel};
pub use console::Answer;
use qmp::Monitor;
use serial::Serial;

/// How long anything may take. Far more than any needs on a busy machine: nothing here measures time.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A machine that runs.
#[derive(Debug)]
pub struct Vm {
    /// Named in logs.
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    serial: Serial,
    folder: TempDir,
    /// Where QEMU writes its own complaints.
    complaints: PathBuf,
    /// Held for as long as the machine runs.
    _turn: File,
}

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended(Option<i32>);

impl Ended {
    /// Whether it turned itself off, or was ended by the monitor.
    pub fn is_off(self) -> bool {
        self.0 == Some(0)
    }

    /// The number that the guest wrote to the debug port; `None` when it did not.
    pub fn debug_status(self) -> Option<i32> {
        self.0.filter(|code| code % 2 == 1).map(|code| code / 2)
    }
}

impl Vm {
    /// Starts a machine; its firmware may still be running when this returns. It ends with the thread that started it.
    pub fn start(config: &Config) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let thread = std::thread::current();
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let test = thread.name().unwrap_or("machine").replace("::", "-");
        let name = format!("{test}-{}-{number}", std::process::id());
        let paths = std::env::var_os("PATH").unwrap_or_default();
        assert!(
            std::env::split_paths(&paths).any(|folder| folder.join("qemu-system-x86_64").is_file()),
            "there is no qemu-system-x86_64; tests/setup/debian-packages.sh installs qemu-system-x86"
        );
        let turn = turns::take();
        let folder = TempDir::with_prefix("plyos-vm-").unwrap();
        let complaints = folder.path().join("qemu");
        let mut command = config.command(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&complaints).unwrap());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("starting qemu-system-x86_64 by setpriv: {error}"));
        let serial = Serial::of(child.stdout.take().unwrap());
        let stdin = child.stdin.take();
        Self { name, child, stdin, serial, folder, complaints, _turn: turn }
    }

    /// Starts a machine and waits for its console.
    pub fn boot(config: &Config) -> Self {
        let mut vm = Self::start(config);
        vm.wait_for_prompt();
        vm
    }

    /// All that it wrote so far.
    pub fn written(&self) -> String {
        self.serial.written()
    }

    /// Waits until it has written `text` behind what was read before, and gives everything up to there.
    ///
    /// # Panics
    /// When it ends before, or after [`PATIENCE`].
    pub fn read_until(&mut self, text: &str) -> String {
        match self.serial.read_until(text, PATIENCE) {
            Ok(read) => read,
            Err(why) => panic!("waiting for {text:?}: {why}; {}", self.story()),
        }
    }

    /// Types bytes.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        let typed = stdin.write_all(bytes).and_then(|()| stdin.flush());
        typed.unwrap_or_else(|error| panic!("typing into {}: {error}; {}", self.name, self.story()));
    }

    /// The monitor.
    pub fn monitor(&self) -> Monitor {
        Monitor::connect(&self.folder.path().join(config::MONITOR))
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        self.wait()
    }

    /// The same; the value stays, for what it wrote.
    pub fn wait(&mut self) -> Ended {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.serial.finish();
                return Ended(status.code());
            }
            assert!(waited < PATIENCE, "{} does not end; {}", self.name, self.story());
            std::thread::sleep(Duration::from_millis(10));
            waited += Duration::from_millis(10);
        }
    }

    /// What there is to tell when a test has failed.
    fn story(&self) -> String {
        let complaints = fs::read_to_string(&self.complaints).unwrap_or_default();
        format!("it wrote:\n{}\nqemu said: {complaints}", self.written())
    }

    fn keep_log(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vm-logs");
        let path = folder.join(format!("{}.log", self.name));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, self.story()));
        match kept {
            Ok(()) => eprintln!("what the machine wrote is kept in target/vm-logs/{}.log", self.name),
            Err(error) => eprintln!("what the machine wrote is not kept: {error}"),
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.serial.finish();
        if std::thread::panicking() || std::env::var_os("PLYOS_VM_LOGS").is_some() {
            self.keep_log();
        }
    }
}

/// Waits until a page of the machine's status server can be read, through the port that is forwarded to it. Gives the whole answer.
pub fn page(port: u16, path: &str) -> String {
    use std::io::Read as _;
    wait_for("the status page", || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    })
}
