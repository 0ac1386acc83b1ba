//! Running the registry: the accept loop, sweeping up, and stopping.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plyos_blobs::StoreError;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::router::{Registry, routes};

/// How often abandoned uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// The registry could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The storage directory cannot be used.
    #[error("cannot use {} as storage; give a directory that can be written: {source}", path.display())]
    Storage {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: Box<StoreError>,
    },
    /// The listening socket failed.
    #[error("cannot accept connections: {0}")]
    Listen(#[from] std::io::Error),
}

/// Serves on `listener` until `shutdown` is ready, then lets requests that are under way finish within
/// [`Limits::shutdown_grace`](crate::Limits::shutdown_grace).
///
/// # Errors
///
/// [`Error::Storage`] if the storage directory cannot be used, [`Error::Listen`] if the socket fails.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let registry = Registry::open(&config)?;
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, routes(Arc::clone(&registry))).with_graceful_shutdown(async move {
        shutdown.await;
        // Nobody listens any more only if the server has already ended.
        let _ = stopping.send(());
    });
    let out_of_patience = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(config.limits.shutdown_grace).await;
        }
    };
    tokio::select! {
        result = server.into_future() => result.map_err(Error::Listen),
        () = out_of_patience => {
            tracing::warn!("stopped with requests under way");
            Ok(())
        }
        () = sweep(&registry) => Ok(()),
    }
}

/// Removes uploads that were given up; never ends.
async fn sweep(registry: &Registry) {
    let mut hours = tokio::time::interval(SWEEP_EVERY);
    loop {
        hours.tick().await;
        match registry.storage.uploads.sweep(registry.config.limits.upload_expiry).await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "removed abandoned uploads"),
            Err(error) => tracing::warn!(%error, "could not remove abandoned uploads"),
        }
    }
}
