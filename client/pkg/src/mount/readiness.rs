//! How the processes of a mount tell that it works, or why not: one line on stdout, and systemd's datagram.

use plyos_report::{ExitCode, Failure};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// First word of the line of a process that works.
const READY: &str = "ready";
/// First word of the line of one that does not; an exit code and the failure follow.
const FAILED: &str = "failed";

/// Tells the process that started this one how it went.
pub fn tell(outcome: Result<(), &Failure>) {
    let line = match outcome {
        Ok(()) => READY.to_owned(),
        Err(failure) => format!("{FAILED} {} {}", failure.code as u8, failure.message.replace('\n', " ")),
    };
    let mut out = io::stdout().lock();
    // Whoever does not listen any more does not need it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Waits for the line of a process that was started.
pub fn hear(from: impl Read) -> Result<(), Failure> {
    let mut line = String::new();
    // A failure is one line; more than this is none of ours.
    let _ = BufReader::new(from.take(64 << 10)).read_line(&mut line);
    match line.trim_end().split_once(' ') {
        None if line.trim_end() == READY => Ok(()),
        Some((FAILED, rest)) => {
            let (code, message) = rest.split_once(' ').unwrap_or(("", rest));
            Err(Failure::new(code_of(code), message))
        }
        _ => Err(Failure::new(ExitCode::Failure, "the process that serves the mount ended without a word")),
    }
}

fn code_of(number: &str) -> ExitCode {
    const ALL: [ExitCode; 8] = [
        ExitCode::Failure,
        ExitCode::Usage,
        ExitCode::NotFound,
        ExitCode::Conflict,
        ExitCode::Signature,
        ExitCode::Machine,
        ExitCode::Store,
        ExitCode::Network,
    ];
    let is_it = |code: &ExitCode| number.parse() == Ok(*code as u8);
    ALL.into_iter().find(is_it).unwrap_or(ExitCode::Failure)
}

/// Tells systemd, when it started this process with `Type=notify` (sd_notify(3)).
pub fn notify_systemd(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let send = || -> io::Result<()> {
        let bytes = path.clone().into_vec();
        let address = match bytes.split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(&bytes))?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
    };
    if let Err(error) = send() {
        super::log::say(&format!("telling systemd that the mount is there: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_is_what_was_told() {
        assert_eq!(hear(&b"ready\n"[..]), Ok(()));
        let refused = Failure::new(ExitCode::Signature, "it is refused: why");
        assert_eq!(hear(&b"failed 5 it is refused: why\n"[..]), Err(refused));
        assert_eq!(hear(&b""[..]).map_err(|failure| failure.code), Err(ExitCode::Failure));
        assert_eq!(hear(&b"failed\n"[..]).map_err(|failure| failure.code), Err(ExitCode::Failure));
        assert_eq!(hear(&b"failed 99 x\n"[..]).map_err(|failure| failure.code), Err(ExitCode::Failure));
    }
}
