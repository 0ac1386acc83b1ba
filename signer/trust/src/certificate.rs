//! The certificate that lets loader and kernel accept a layer.
//!
//! A [`Statement`] (layer, epoch, time of issue) and the signatures under it. A certificate is a claim: only
//! [`crate::keyring::VerifiedKeyring::accept`] says whether it holds.

use alloc::vec::Vec;

use plyos_bytemap::{Cursor, Preamble, PreambleError, View, byte_map, put};
use plyos_ids::{HashAlgorithm, LayerId};

use crate::signatures::{Signatures, SignaturesError, SignaturesView};

byte_map! {
    /// See docs/formats.md, "Certificate".
    pub mod certificate = "certificate", 96 {
        PREAMBLE: 0, 32;
        LAYER_ID: 32, 32;
        ISSUED_AT: 64, 8;
        EPOCH: 72, 4;
        HASH_ALGORITHM: 76, 1;
        RESERVED: 77, 11;
        SIGNATURE_COUNT: 88, 2;
        RESERVED2: 90, 6;
    }
}

/// What every certificate starts with.
pub const MAGIC: [u8; 8] = *b"PLYCERTF";
/// What stands before the statement in the signed message, so that a signature serves for nothing else.
const DOMAIN: &[u8] = b"plyos-certificate-v1\0";

/// Why bytes are not a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The 32 bytes at its start.
    #[error("cannot read the certificate: {0}")]
    Preamble(#[from] PreambleError),
    /// The signatures at its end.
    #[error("cannot read the certificate: {0}")]
    Signatures(#[from] SignaturesError),
    /// A hash algorithm that is not known here.
    #[error("cannot read the certificate: hash algorithm {0} is not known here; update this program")]
    HashAlgorithm(u8),
    /// Reserved bytes in use, or bytes after the end.
    #[error("cannot read the certificate: it is malformed")]
    Malformed,
}

/// What is signed: a layer may be used, at this security epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The layer it is about.
    pub layer: LayerId,
    /// When it was made: seconds since 1970.
    pub issued_at: u64,
    /// Security epoch of the layer: raised when older ones must no longer be accepted.
    pub epoch: u32,
}

impl Statement {
    /// The bytes to be signed.
    pub fn message(&self) -> Vec<u8> {
        let mut header = [0; certificate::SIZE];
        self.put(&mut header);
        let statement = header.get(certificate::LAYER_ID.offset..certificate::SIGNATURE_COUNT.offset);
        [DOMAIN, statement.unwrap_or_default()].concat()
    }

    fn put(&self, header: &mut [u8]) {
        put(header, certificate::LAYER_ID, self.layer.as_bytes());
        put(header, certificate::ISSUED_AT, &self.issued_at.to_le_bytes());
        put(header, certificate::EPOCH, &self.epoch.to_le_bytes());
        put(header, certificate::HASH_ALGORITHM, &[HashAlgorithm::Blake3 as u8]);
    }
}

/// A statement with 1 to 16 signatures, not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What is claimed.
    pub statement: Statement,
    /// By whom.
    pub signatures: Signatures,
    /// Features that a reader may ignore: kept, so that what was read is what is written.
    compat: u32,
}

impl Certificate {
    /// Puts signatures under a statement.
    pub const fn new(statement: Statement, signatures: Signatures) -> Self {
        Self { statement, signatures, compat: 0 }
    }

    /// Reads a certificate; `bytes` must hold it and nothing more.
    ///
    /// # Errors
    /// Any spelling that [`Self::emit`] would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        let view = CertificateView::parse(bytes)?;
        Ok(Self { statement: view.statement, signatures: view.signatures.to_owned(), compat: view.compat })
    }

    /// The one spelling of this certificate.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = alloc::vec![0; certificate::SIZE];
        self.statement.put(&mut out);
        put(&mut out, certificate::SIGNATURE_COUNT, &self.signatures.count().to_le_bytes());
        self.signatures.write(&mut out);
        let total = out.len() as u64;
        Preamble { compat: self.compat, ..Preamble::v1(MAGIC, certificate::SIZE, total) }.emit(&mut out);
        out
    }

    /// The bytes that were signed.
    pub fn message(&self) -> Vec<u8> {
        self.statement.message()
    }
}

/// A certificate where it lies: the one parser, which copies nothing but the statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateView<'a> {
    pub statement: Statement,
    pub signatures: SignaturesView<'a>,
    compat: u32,
}

impl<'a> CertificateView<'a> {
    /// Reads a certificate; `bytes` must hold it and nothing more.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CertificateError> {
        let (preamble, object) = Preamble::parse(bytes, &MAGIC, certificate::SIZE, 0)?;
        let view = View::new(object, &certificate::LAYOUT).ok_or(CertificateError::Malformed)?;
        let algorithm = view.u8(certificate::HASH_ALGORITHM);
        HashAlgorithm::from_number(algorithm).ok_or(CertificateError::HashAlgorithm(algorithm))?;
        let reserved = view.is_zero(certificate::RESERVED) && view.is_zero(certificate::RESERVED2);
        if !reserved || object.len() != bytes.len() {
            return Err(CertificateError::Malformed);
        }
        let mut cursor = Cursor::new(object);
        cursor.take(certificate::SIZE).ok_or(CertificateError::Malformed)?;
        let signatures = SignaturesView::read(&mut cursor, view.u16(certificate::SIGNATURE_COUNT))?;
        if !cursor.remaining().is_empty() {
            return Err(CertificateError::Malformed);
        }
        let statement = Statement {
            layer: LayerId::from_bytes(view.array(certificate::LAYER_ID)),
            issued_at: view.u64(certificate::ISSUED_AT),
            epoch: view.u32(certificate::EPOCH),
        };
        Ok(Self { statement, signatures, compat: preamble.compat })
    }
}
