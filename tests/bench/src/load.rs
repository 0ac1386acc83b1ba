//! Load on a web server, as `wrk` and `curl` make it and tell of it.

use crate::process;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long `wrk` runs. Long enough for tens of thousands of small answers.
const SECONDS: u32 = 2;

/// Goes through the paths of the file `PATHS`, one a line, in turn; without it `wrk` asks for the one of its command line.
const IN_TURN: &str = r#"
local requests, next = {}, 0
function init()
  for path in io.lines(os.getenv("PATHS")) do requests[#requests + 1] = wrk.format("GET", path) end
end
function request()
  next = next % #requests + 1
  return requests[next]
end
"#;

/// What `wrk` measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Whole answers in a second.
    pub requests: f64,
    /// Bytes in a second, of answers that are not whole yet too.
    pub bytes: f64,
}

/// Asks for paths of a server, over and over, on `connections` at a time.
pub fn wrk(address: &str, paths: &[String], connections: u32, work: &Path) -> Result<Rate> {
    let first = paths.first().context("nothing to ask for")?;
    let mut command = Command::new("wrk");
    command.args([format!("-t{}", connections.min(2)), format!("-c{connections}"), format!("-d{SECONDS}s")]);
    // docker-registry has OCI manifests only for those who say that they take them.
    command.args(["-H", &format!("Accept: {}, */*", crate::images::MANIFEST)]);
    if paths.len() > 1 {
        let (script, list) = (work.join("in-turn.lua"), work.join("paths"));
        std::fs::write(&script, IN_TURN).context("writing wrk's script")?;
        std::fs::write(&list, paths.join("\n")).context("writing the list of paths")?;
        command.arg("-s").arg(script).env("PATHS", list);
    }
    let (_, output) = process::run(command.arg(format!("http://{address}{first}")))?;
    rate(&String::from_utf8_lossy(&output)).with_context(|| format!("loading {address}{first}"))
}

/// Reads wrk's report. Any answer that was not the one asked for makes it worthless.
fn rate(report: &str) -> Result<Rate> {
    let after = |name: &str| report.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    if let Some(bad) = after("Non-2xx or 3xx responses:") {
        bail!("{bad} answers were refusals");
    }
    // An answer of 100 MiB to one of 64 connections may take longer than wrk waits, which is fine; a broken connection is not.
    if let Some(errors) = after("Socket errors:")
        && errors.split(',').any(|error| !error.contains("timeout") && !error.trim().ends_with(" 0"))
    {
        bail!("connections broke: {errors}");
    }
    let requests = after("Requests/sec:").and_then(|text| text.parse().ok());
    let bytes = after("Transfer/sec:").and_then(bytes_of);
    match (requests, bytes) {
        (Some(requests), Some(bytes)) => Ok(Rate { requests, bytes }),
        _ => bail!("wrk printed no rates: {report}"),
    }
}

/// `1.25GB` as wrk writes it: units are powers of 1024.
fn bytes_of(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let power = ["B", "KB", "MB", "GB", "TB"].iter().position(|known| *known == unit)?;
    Some(number.parse::<f64>().ok()? * 1024f64.powi(i32::try_from(power).ok()?))
}

/// Downloads once with `curl`; the time that it took.
pub fn download(address: &str, path: &str) -> Result<Duration> {
    let url = format!("http://{address}{path}");
    curl(&["--output", "/dev/null", "--write-out", "%{time_total}", &url]).and_then(|text| seconds(&text))
}

/// Downloads with `curl` to a file. What is large comes this way: the peak memory of a process begins with that of the one
/// that started it, so a bench that held it would measure itself.
pub fn save(address: &str, path: &str, file: &Path) -> Result<()> {
    let file = file.to_str().context("a path that is no text")?;
    curl(&["--output", file, &format!("http://{address}{path}")]).map(drop)
}

/// Downloads with `curl` what is small.
pub fn content(address: &str, path: &str) -> Result<Vec<u8>> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail"]).arg(format!("http://{address}{path}"));
    Ok(process::run(&mut command)?.1)
}

/// Downloads with `curl` some bytes of what is there.
pub fn range(address: &str, path: &str, bytes: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let mut command = Command::new("curl");
    let range = format!("{}-{}", bytes.start, bytes.end.saturating_sub(1));
    command.args(["--silent", "--show-error", "--fail", "--range", &range]);
    command.arg(format!("http://{address}{path}"));
    Ok(process::run(&mut command)?.1)
}

/// Pushes a file as a blob with `curl`: POST for a session, then one PUT. The time of both.
pub fn push(address: &str, repository: &str, file: &Path, digest: &str) -> Result<Duration> {
    let begin = format!("http://{address}/v2/{repository}/blobs/uploads/");
    let said = curl(&["--request", "POST", "--write-out", "%{time_total} %header{location}", &begin])?;
    let (posted, place) = said.trim().split_once(' ').context("no session was begun")?;
    let place = if place.starts_with('/') { format!("http://{address}{place}") } else { place.to_owned() };
    let joint = if place.contains('?') { '&' } else { '?' };
    let file = file.to_str().context("a path that is no text")?;
    let put = curl(&[
        "--upload-file",
        file,
        "--header",
        "Content-Type: application/octet-stream",
        "--write-out",
        "%{time_total}",
        &format!("{place}{joint}digest={digest}"),
    ])?;
    Ok(seconds(posted)? + seconds(&put)?)
}

fn curl(arguments: &[&str]) -> Result<String> {
    // Not asking first whether a body is wanted: that would cost a server that does not answer it a second.
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--header", "Expect:"]).args(arguments);
    let (_, output) = process::run(&mut command)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds = text.trim().parse().with_context(|| format!("reading curl's time '{text}'"))?;
    Duration::try_from_secs_f64(seconds).context("reading curl's time")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Running 2s test @ http://127.0.0.1:1/\n  2 threads and 8 connections\n\
        \x20 1000 requests in 2.00s, 4.00MB read\nRequests/sec:    500.25\nTransfer/sec:      1.50MB\n";

    #[test]
    fn rates_of_a_report() {
        let rate_of = rate(REPORT).unwrap();
        assert_eq!(rate_of, Rate { requests: 500.25, bytes: 1_572_864.0 });
        assert!(rate("").is_err());
    }

    #[test]
    fn refusals_and_broken_connections_are_no_rates() {
        let refused = format!("{REPORT}  Non-2xx or 3xx responses: 7\n");
        assert!(rate(&refused).unwrap_err().to_string().contains('7'));
        let broken = format!("{REPORT}  Socket errors: connect 0, read 3, write 0, timeout 0\n");
        assert!(rate(&broken).is_err());
        let slow = format!("{REPORT}  Socket errors: connect 0, read 0, write 0, timeout 9\n");
        assert!(rate(&slow).is_ok());
    }

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(bytes_of("2.00KB"), Some(2048.0));
        assert_eq!(bytes_of("1.00GB"), Some(1_073_741_824.0));
        assert_eq!(bytes_of("7.00B"), Some(7.0));
        assert_eq!(bytes_of("7.00XB"), None);
        assert_eq!(bytes_of("7"), None);
    }
}
