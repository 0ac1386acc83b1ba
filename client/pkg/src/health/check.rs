//! One look at whether the system is well.

use super::command;
use plyos_namespace::generation::{Health, HealthKind};
use plyos_transfer::Http;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest answer of a server that counts as well, in bytes.
const LONGEST_PAGE: u64 = 16 << 20;

/// Asks once, for no longer than `time`; the error says why it is not well.
pub async fn once(health: &Health, generation: u64, time: Duration) -> Result<(), String> {
    let asked = async {
        match health.kind {
            HealthKind::Command => command::run(&health.spec, generation, time).await,
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
    if health.kind == HealthKind::Command {
        // It keeps its time, and says whose it was.
        return asked.await;
    }
    timeout(time, asked).await.unwrap_or_else(|_| Err(format!("{} did not answer in time", health.spec)))
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
