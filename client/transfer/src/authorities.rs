//! Certificate authorities beside the public ones: those of private registries and catalogs.
//!
//! Public roots are built in ([`webpki_roots`]); what stands here is added to them for one client. It says who may speak for a host name and
//! nothing else: what a catalog offers is judged by its own signatures.

use crate::http::TransferError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Names a PEM file whose authorities every client of the process believes as well.
const VARIABLE: &str = "PLYOS_CA_FILE";
/// Longest PEM text: some forty certificates.
pub const LONGEST: usize = 64 << 10;

/// Certificates of authorities, each fit to be one.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a text holds no authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// It is longer than [`LONGEST`].
    #[error("it is longer than 64 KiB; give the certificates that are needed only")]
    Long,
    /// There is no certificate in it.
    #[error("it has no certificate; give a PEM file with -----BEGIN CERTIFICATE-----")]
    None,
    /// It cannot be read, or a certificate in it cannot be.
    #[error("it is no PEM file of certificates ({0})")]
    Malformed(String),
}

impl Authorities {
    /// Reads PEM text; at least one certificate.
    ///
    /// # Errors
    /// When there is none, one cannot be read, or the text is too long.
    pub fn of_pem(pem: &[u8]) -> Result<Self, AuthorityError> {
        if pem.len() > LONGEST {
            return Err(AuthorityError::Long);
        }
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| AuthorityError::Malformed(error.to_string()))?;
        if found.is_empty() {
            return Err(AuthorityError::None);
        }
        let mut store = RootCertStore::empty();
        for certificate in &found {
            store.add(certificate.clone()).map_err(|error| AuthorityError::Malformed(error.to_string()))?;
        }
        Ok(Self(found))
    }

    /// Those of the file that `PLYOS_CA_FILE` names; none where it is not set.
    pub(crate) fn of_environment() -> Result<Self, TransferError> {
        match std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => {
                let (path, shown) = (Path::new(&path), format!("{} ({VARIABLE})", path.to_string_lossy()));
                let mut pem = Vec::new();
                let failed = |source| TransferError::File { path: shown.clone(), source };
                let file = File::open(path).map_err(failed)?;
                file.take(LONGEST as u64 + 1).read_to_end(&mut pem).map_err(failed)?;
                Self::of_pem(&pem).map_err(|why| failed(std::io::Error::other(why)))
            }
            None => Ok(Self::default()),
        }
    }

    /// The public roots, the environment's, and these.
    pub(crate) fn store(&self) -> Result<RootCertStore, TransferError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let named = Self::of_environment()?;
        // Each was fit when it was read.
        roots.add_parsable_certificates(named.0.into_iter().chain(self.0.iter().cloned()));
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_authority_is_refused() {
        assert_eq!(Authorities::of_pem(b"").unwrap_err(), AuthorityError::None);
        assert_eq!(Authorities::of_pem(b"no PEM at all").unwrap_err(), AuthorityError::None);
        assert_eq!(Authorities::of_pem(&vec![b' '; LONGEST + 1]).unwrap_err(), AuthorityError::Long);
        let wrapped =
            |inner: &str| format!("-----BEGIN CERTIFICATE-----\n{inner}\n-----END CERTIFICATE-----\n");
        for bad in ["?", "AAAA"] {
            let refused = Authorities::of_pem(wrapped(bad).as_bytes());
            assert!(matches!(refused, Err(AuthorityError::Malformed(_))), "{bad}");
        }
    }
}
