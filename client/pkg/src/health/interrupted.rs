//! The signals by which a person, a terminal that is closed or an init end a program.

use plyos_report::{ExitCode, Failure, OrFail};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from when it is made.
pub struct Interruptions([Signal; 3]);

impl Interruptions {
    /// For SIGINT, SIGTERM and SIGHUP.
    pub fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).or_fail(ExitCode::Failure, "listening to signals");
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Waits for the first.
    pub async fn first(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}
