//! Deleting what nothing refers to, by the clock, while everything else goes on (docs/registry-cleanup.md).
//!
//! Any number of servers may do this on one bucket. Each begins at a moment of its own, so that they rarely do the same work.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use plyos_blobs::Policy;
use tokio::time::sleep;

use crate::config::Config;
use crate::router::Registry;

/// Cleans up over and over; never ends.
pub(crate) async fn run(registry: Arc<Registry>) {
    let every = registry.config.clean_up.every;
    if every.is_zero() {
        return std::future::pending().await;
    }
    let policy = policy(&registry.config);
    look(&registry).await;
    sleep(some_of(every)).await;
    loop {
        match registry.storage.clean(&policy).await {
            Ok(cleaned) => {
                registry.metrics.cleaned.inc_by(cleaned.bytes);
                for why in &cleaned.unjudged {
                    tracing::warn!(%why, "something cannot be judged and was kept; run plyos registry fsck");
                }
                tracing::info!(
                    manifests = cleaned.manifests,
                    links = cleaned.links,
                    blobs = cleaned.blobs,
                    data = cleaned.data,
                    bytes = cleaned.bytes,
                    spared = cleaned.spared,
                    "cleaned up"
                );
            }
            Err(error) => tracing::warn!(%error, "a clean-up ended early; the next one goes on"),
        }
        look(&registry).await;
        sleep(every).await;
    }
}

/// Tells the metrics how much lies in the storage. It is listed as a clean-up lists it, so not more often.
async fn look(registry: &Registry) {
    match registry.storage.footprint().await {
        Ok(found) => registry.metrics.stored(&found),
        Err(error) => tracing::debug!(%error, "cannot see how much lies in the storage"),
    }
}

fn policy(config: &Config) -> Policy {
    let clean_up = &config.clean_up;
    Policy {
        grace: clean_up.grace,
        untagged: Some(clean_up.untagged).filter(|untagged| !untagged.is_zero()),
        sessions: config.limits.upload_expiry,
        rate: NonZeroU32::new(clean_up.rate).map(NonZeroU32::get),
        patience: clean_up.patience,
        ..Policy::default()
    }
}

/// A part of `every` by chance, in whole milliseconds; all of it if there is no chance to be had.
fn some_of(every: Duration) -> Duration {
    let chance = getrandom::u32().unwrap_or(u32::MAX);
    every.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}
