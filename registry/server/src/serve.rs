//! Running the registry: the accept loop, looking after things, reloading and stopping.
//!
//! [`Server`] is a registry that is ready to run; [`serve`] is the short way. A server that is asked to stop accepts
//! nothing more, lets requests that are under way finish within the grace, and then ends what is left.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use plyos_blobs::{Storage, StoreError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::access::AccessError;
use crate::clean_up;
use crate::config::Config;
use crate::connection::{Peer, Shared};
use crate::limits::{AddressCount, AddressRate};
use crate::packing;
use crate::router::{Registry, operation, routes};
use crate::tls::{Tls, TlsError};

/// How often abandoned uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How often the certificate's files are looked at.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// How long to wait when no connection can be accepted, for want of files mostly.
const BREATH: Duration = Duration::from_millis(100);

/// The registry could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The storage cannot be used.
    #[error("cannot use {} as storage; give a directory that can be written, or a bucket: {source}", path.display())]
    Storage {
        /// The directory or URL.
        path: PathBuf,
        /// Why not.
        source: Box<StoreError>,
    },
    /// Accounts, rules or the key of tokens cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The listening socket failed.
    #[error("cannot accept connections: {0}")]
    Listen(#[from] std::io::Error),
}

/// Serves on `listener` until `shutdown` is ready, then lets requests that are under way finish within
/// [`Limits::shutdown_grace`](crate::Limits::shutdown_grace).
///
/// # Errors
///
/// Those of [`Server::open`] and [`Server::run`].
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    Server::open(config).await?.run(listener, None, shutdown).await
}

/// A registry that is ready to run. Cheap to clone; [`Server::reload`] may be called while another clone runs.
#[derive(Clone)]
pub struct Server {
    registry: Arc<Registry>,
    shared: Arc<Shared>,
}

impl Server {
    /// Opens storage, accounts and certificates.
    ///
    /// # Errors
    ///
    /// [`Error`], of what cannot be used.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let registry = Registry::open(&config).await?;
        Self::of(registry, &config)
    }

    /// Opens a server over a storage that is open already, whatever the configuration names.
    ///
    /// # Errors
    ///
    /// [`Error`], of what cannot be used.
    pub fn over(storage: Storage, config: &Config) -> Result<Self, Error> {
        Self::of(Registry::over(storage, config)?, config)
    }

    fn of(registry: Arc<Registry>, config: &Config) -> Result<Self, Error> {
        let tls = Tls::open(&config.tls)?;
        let (router, metrics) = (routes(Arc::clone(&registry)), Arc::clone(&registry.metrics));
        let shared = Arc::new(Shared::new(router, config.limits.clone(), metrics, tls));
        Ok(Self { registry, shared })
    }

    /// Takes over who may do what (`anonymous-pull`, `anonymous-push`, `public-url`, everything of `access`, rules and groups) of
    /// `config` and reads the certificate again from where it was. Other settings need a restart. If one of the two cannot be had,
    /// both stay as they were.
    ///
    /// # Errors
    ///
    /// [`Error::Access`] or [`Error::Tls`].
    pub fn reload(&self, config: &Config) -> Result<(), Error> {
        let decided = self.registry.access.read(config)?;
        if let Some(tls) = &self.shared.tls {
            tls.take_over(tls.read()?);
        }
        self.registry.access.take_over(decided);
        Ok(())
    }

    /// Serves on `listener`, and metrics and health on `metrics` if there is one, until `shutdown` is ready.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] if the socket fails.
    pub async fn run(
        &self,
        listener: TcpListener,
        metrics: Option<TcpListener>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let limits = &self.registry.config.limits;
        // Both end with this function: dropping a set ends its tasks.
        let mut beside = JoinSet::new();
        beside.spawn(sweep(Arc::clone(&self.registry)));
        beside.spawn(renew(Arc::clone(&self.shared)));
        beside.spawn(packing::run(Arc::clone(&self.registry)));
        beside.spawn(clean_up::run(Arc::clone(&self.registry)));
        if let Some(listener) = metrics {
            let router = operation(Arc::clone(&self.registry));
            beside.spawn(async move { drop(axum::serve(listener, router).await) });
        }
        let (mut connections, graceful) = (JoinSet::new(), GracefulShutdown::new());
        let per_address = AddressCount::new(limits.connections_per_address);
        let slots = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&listener, &slots) => accepted,
            };
            // Those that have ended are let go of.
            while connections.try_join_next().is_some() {}
            let Some((stream, address, slot)) = accepted else { continue };
            let Some(entered) = per_address.enter(address) else {
                self.registry.metrics.turned_away.inc();
                continue;
            };
            let (shared, watcher) = (Arc::clone(&self.shared), graceful.watcher());
            connections.spawn(async move {
                let _counted = (slot, entered, Open::count(&shared));
                shared.serve(stream, Peer { address }, watcher).await;
            });
        }
        drop(listener);
        if tokio::time::timeout(limits.shutdown_grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("stopped with requests under way");
        }
        connections.shutdown().await;
        Ok(())
    }
}

type Accepted = (TcpStream, std::net::IpAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it. `None` if it failed, which says nothing of the next.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    // The semaphore is never closed.
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address.ip(), slot)),
        Err(error) => {
            use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
            if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
            }
            None
        }
    }
}

/// An open connection in the metrics.
struct Open(Arc<Shared>);

impl Open {
    fn count(shared: &Arc<Shared>) -> Self {
        shared.metrics.connections.inc();
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

/// What an address may ask for in a second, if that is bounded.
pub(crate) fn request_rate(per_second: u32) -> Option<AddressRate> {
    let per_second = NonZeroU32::new(per_second)?;
    Some(AddressRate::new(per_second, Duration::from_secs(1) / per_second.get()))
}

/// Removes uploads that were given up; never ends.
async fn sweep(registry: Arc<Registry>) {
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

/// Takes over renewed certificates; never ends.
async fn renew(shared: Arc<Shared>) {
    let mut minutes = tokio::time::interval(RENEW_EVERY);
    loop {
        minutes.tick().await;
        if let Some(tls) = &shared.tls {
            tls.renew();
        }
    }
}
