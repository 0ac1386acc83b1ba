//! One look at whether the system is well.

use plyos_namespace::generation::{Health, HealthKind};
use plyos_transfer::Http;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How often a command that runs is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The longest answer of a server that counts as well, in bytes.
const LONGEST_PAGE: u64 = 16 << 20;

/// Asks once, for no longer than `time`; the error says why it is not well.
pub async fn once(health: &Health, generation: u64, time: Duration) -> Result<(), String> {
    let asked = async {
        match health.kind {
            HealthKind::Command => command(&health.spec, generation, time).await,
            HealthKind::Http => http(&health.spec).await,
            HealthKind::Tcp => {
                let connected = TcpStream::connect(&health.spec).await;
                connected.map(|_| ()).map_err(|error| format!("connecting to {}: {error}", health.spec))
            }
            HealthKind::Services => {
                Err(String::from("services cannot be asked on this host; set another check"))
            }
        }
    };
    // A command ends itself, so that its processes are ended, too.
    timeout(time + LOOK * 50, asked).await.unwrap_or_else(|_| Err(String::from("it did not answer in time")))
}

async fn http(url: &str) -> Result<(), String> {
    let http = Http::new().map_err(|error| error.to_string())?;
    let what = format!("asking {url}");
    match http.get_bounded(&what, url, LONGEST_PAGE).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(format!("{url} answered 404")),
        Err(error) => Err(error.to_string()),
    }
}

async fn command(line: &str, generation: u64, time: Duration) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("PKG_GENERATION", generation.to_string());
    // A group of its own, so that what it started can be ended with it.
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = shell.spawn().map_err(|error| format!("starting `{line}`: {error}"))?;
    let group = format!("-{}", child.id());
    let ended = timeout(time, async {
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => sleep(LOOK).await,
                Err(error) => return Err(format!("waiting for `{line}`: {error}")),
            }
        }
    });
    match ended.await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{line}` ended with {status}")),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
            let _ = child.kill();
            let _ = child.wait();
            Err(format!("`{line}` did not end in time"))
        }
    }
}
