//! The server's certificate, read from files and read again when they change.
//!
//! Clients choose HTTP/2 or HTTP/1.1 in the handshake (ALPN). A connection keeps the certificate that it began with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;

/// HTTP/2 in a handshake (RFC 9113).
pub(crate) const H2: &[u8] = b"h2";

/// Certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {} for TLS: {why}", path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

/// What makes handshakes.
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    acceptor: RwLock<TlsAcceptor>,
    stamps: Mutex<Stamps>,
}

/// When certificate and key were last changed.
type Stamps = [Option<SystemTime>; 2];

/// What the files say now.
pub(crate) struct Renewed {
    acceptor: TlsAcceptor,
    stamps: Stamps,
}

impl Tls {
    /// Reads the files; `None` if there are none to read.
    pub(crate) fn open(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else { return Ok(None) };
        let stamps = [modified(certificate), modified(key)];
        let acceptor = acceptor(certificate, key)?;
        Ok(Some(Self {
            certificate: certificate.clone(),
            key: key.clone(),
            acceptor: RwLock::new(acceptor),
            stamps: Mutex::new(stamps),
        }))
    }

    /// What new connections begin with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again, for [`Tls::take_over`].
    pub(crate) fn read(&self) -> Result<Renewed, TlsError> {
        let stamps = [modified(&self.certificate), modified(&self.key)];
        Ok(Renewed { acceptor: acceptor(&self.certificate, &self.key)?, stamps })
    }

    /// New connections begin with this.
    pub(crate) fn take_over(&self, renewed: Renewed) {
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = renewed.acceptor;
        *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) = renewed.stamps;
    }

    /// Reads the files again if one has changed: whoever renews certificates need not know us.
    pub(crate) fn renew(&self) {
        let stamps = [modified(&self.certificate), modified(&self.key)];
        if stamps == *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        match self.read().map(|renewed| self.take_over(renewed)) {
            Ok(()) => tracing::info!(certificate = %self.certificate.display(), "read the certificate again"),
            // One of the two may be written yet; the next look tells.
            Err(error) => tracing::warn!(%error, "the certificate stays as it was"),
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |why: String| TlsError { path, why }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| fail(certificate)(error.to_string()))?;
    if chain.is_empty() {
        return Err(fail(certificate)("it holds no certificate in PEM form".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fail(key)(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| fail(certificate)(error.to_string()))?;
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
