//! Packing what was pushed, in the background: blobs of one repository share the bytes that they have in common.
//!
//! One task packs one blob after the other, once no blob has come for a moment, so that no push waits for it or competes with it.
//! The queue is bounded, and what finds it full is left whole: `plyos registry pack` goes through everything. Where several
//! servers share a bucket, each packs what it took in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plyos_blobs::{Digest, Packer, Packing, RepositoryName};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

use crate::router::Registry;

/// Blobs that may wait, each of which costs some hundred bytes of memory.
const MOST_WAITING: usize = 1024;
/// How long no blob must have come before one is packed. Layers of an image come one after the other.
const QUIET: Duration = Duration::from_secs(2);

type Job = (RepositoryName, Digest);

/// Blobs that wait to be packed.
#[derive(Debug)]
pub(crate) struct PackQueue {
    on: bool,
    sender: Sender<Job>,
    /// Taken by the task that packs; nothing is packed without it.
    receiver: Mutex<Option<Receiver<Job>>>,
    newest: Mutex<Instant>,
}

impl PackQueue {
    /// An empty queue, which takes nothing up if it is not `on`.
    pub(crate) fn new(on: bool) -> Self {
        let (sender, receiver) = channel(MOST_WAITING);
        Self { on, sender, receiver: Mutex::new(Some(receiver)), newest: Mutex::new(Instant::now()) }
    }

    /// Takes up a blob that has just been committed, if it may be worth packing and there is room.
    pub(crate) fn offer(&self, name: &RepositoryName, digest: &Digest, size: u64) {
        if !self.on || !Packer::suits(size) {
            return;
        }
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if self.sender.try_send((name.clone(), *digest)).is_err() {
            tracing::debug!(%name, %digest, "too many blobs wait to be packed; this one stays whole");
        }
    }

    /// Waits until nothing was offered for a while.
    async fn quiet(&self) {
        loop {
            let newest = *self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if newest.elapsed() >= QUIET {
                return;
            }
            sleep_until(newest + QUIET).await;
        }
    }
}

/// Packs what is offered; never ends.
pub(crate) async fn run(registry: Arc<Registry>) {
    let queue = &registry.packing;
    let receiver = queue.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut receiver) = receiver else { return };
    let packer = registry.storage.packer();
    while let Some((name, digest)) = receiver.recv().await {
        queue.quiet().await;
        match packer.pack(&name, &digest).await {
            Ok(Packing::Packed { held, holds }) => {
                registry.metrics.packed.inc();
                registry.metrics.packed_saved.inc_by(held.saturating_sub(holds));
                tracing::info!(%name, %digest, held, holds, "packed a blob");
            }
            Ok(Packing::Misled) => {
                tracing::warn!(%name, %digest, "a piece list is wrong; the blob stays whole");
            }
            Ok(packing) => tracing::debug!(%name, %digest, ?packing, "a blob stays as it is"),
            Err(error) => tracing::warn!(%name, %digest, %error, "could not pack a blob; it stays as it is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(on: bool, sizes: impl IntoIterator<Item = u64>) -> usize {
        let queue = PackQueue::new(on);
        let name = "some/name".parse().unwrap();
        for size in sizes {
            queue.offer(&name, &Digest::of(&size.to_le_bytes()), size);
        }
        let receiver = queue.receiver.lock().unwrap().take().unwrap();
        receiver.len()
    }

    #[test]
    fn the_queue_is_bounded_and_may_be_switched_off() {
        const MIB: u64 = 1 << 20;
        assert_eq!(waiting(true, [MIB, MIB - 1, 0, MIB + 1]), 2);
        assert_eq!(waiting(true, MIB..MIB + 2000), MOST_WAITING);
        assert_eq!(waiting(false, [MIB, 5 * MIB]), 0);
    }
}
