//! QEMU's monitor: JSON lines over a socket (QEMU's "Machine Protocol").

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use plyos_test_system::programs::wait_for;
use serde_json::{Value, json};

use super::PATIENCE;

/// A connection that has passed the greeting. QEMU serves one at a time.
#[derive(Debug)]
pub struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    pub(super) fn connect(path: &Path) -> Self {
        let stream = wait_for("the monitor", || UnixStream::connect(path).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut monitor = Self { stream: BufReader::new(stream) };
        let greeting = monitor.line();
        assert!(greeting["QMP"].is_object(), "not a monitor: {greeting}");
        monitor.run("qmp_capabilities", &json!({}));
        monitor
    }

    /// Runs a command, which must succeed.
    pub fn run(&mut self, command: &str, arguments: &Value) -> Value {
        let line = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
        loop {
            let mut answer = self.line();
            // Events come in between.
            if answer["event"].is_null() {
                assert!(answer["error"].is_null(), "{command}: {}", answer["error"]);
                return answer["return"].take();
            }
        }
    }

    /// Waits for an event of this name that comes from now on.
    pub fn wait_for(&mut self, event: &str) {
        while self.line()["event"] != event {}
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the monitor said {line:?}: {error}"))
    }
}
