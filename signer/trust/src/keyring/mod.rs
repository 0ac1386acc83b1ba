//! The keyring: the root-signed, versioned list of layer keys and of what is revoked.
//!
//! [`Keyring`] is a claim: a [`Statement`] and signatures. [`verify`] turns it into a [`VerifiedKeyring`], which alone
//! can accept certificates.

mod accept;
mod refusal;
mod statement;
mod view;

use alloc::vec::Vec;

use plyos_bytemap::{Cursor, Preamble, PreambleError, byte_map};

pub use accept::{Accepted, VerifiedKeyring, verify};
pub(crate) use accept::{accept, signed_by_roots};
pub use refusal::Refusal;
pub use statement::{LayerKey, MAX_PREFIXES, Revocation, Statement};
pub use statement::{keyring_key, revocation};

use crate::signatures::{Signatures, SignaturesError, SignaturesView};
use view::{Keys, StatementView};

byte_map! {
    /// See docs/formats.md, "Keyring".
    pub mod keyring = "keyring", 64 {
        PREAMBLE: 0, 32;
        VERSION: 32, 8;
        ISSUED_AT: 40, 8;
        SIGNED_LEN: 48, 4;
        KEY_COUNT: 52, 2;
        REVOCATION_COUNT: 54, 2;
        RESERVED: 56, 8;
    }
}

/// What every keyring starts with.
pub const MAGIC: [u8; 8] = *b"PLYKEYRG";
/// Keys in one keyring. A format break to lower.
pub const MAX_KEYS: usize = 256;
/// Revocations in one keyring. A format break to lower.
pub const MAX_REVOCATIONS: usize = 4096;
/// Bytes of a keyring: the loader reads it whole into memory. A format break to lower.
pub const MAX_LEN: usize = 1 << 20;

/// What stands before the statement in the signed message, so that a signature serves for nothing else.
const DOMAIN: &[u8] = b"plyos-keyring-v1\0";
/// Zero bytes between the count of the signatures and the first one.
const COUNT_PADDING: usize = 6;

/// Why bytes, or a statement, are not a keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The 32 bytes at its start.
    #[error("cannot read the keyring: {0}")]
    Preamble(#[from] PreambleError),
    /// The signatures at its end.
    #[error("cannot read the keyring: {0}")]
    Signatures(#[from] SignaturesError),
    /// It ends before its keys or revocations do.
    #[error("cannot read the keyring: it ends too early")]
    Truncated,
    /// More keys, revocations, prefixes or bytes than allowed.
    #[error("the keyring has more {0} than are allowed; split it, or drop what is no longer used")]
    TooMany(&'static str),
    /// Entries that are not sorted, or twice there.
    #[error("the {0} of the keyring are not sorted, or one is there twice")]
    DuplicateOrUnsorted(&'static str),
    /// A key whose identity is not that of its bytes, or that is not usable.
    #[error("a key of the keyring is not usable, or its identity is not that of its bytes")]
    Key,
    /// A kind that is not known here.
    #[error("a key of the keyring may sign kinds {0:#06x} that are not known here; update this program")]
    Kinds(u16),
    /// Version 0, reserved bytes in use, a wrong length, or a number that is not defined.
    #[error("the keyring is malformed")]
    Malformed,
}

/// A statement with 1 to 16 signatures, not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    statement: Statement,
    signatures: Signatures,
    compat: u32,
}

impl Keyring {
    /// Puts signatures under a statement.
    ///
    /// # Errors
    /// When the statement breaks the rules of the format.
    pub fn new(statement: Statement, signatures: Signatures) -> Result<Self, KeyringError> {
        let keyring = Self { statement, signatures, compat: 0 };
        // Reading back what was written holds it to every rule of the parser.
        Self::parse(&keyring.emit()?)
    }

    /// Reads a keyring; `bytes` must hold it and nothing more.
    ///
    /// # Errors
    /// Any spelling that [`Self::emit`] would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyringError> {
        let view = KeyringView::parse(bytes)?;
        let Claims { statement, signatures } = view.claims;
        Ok(Self { statement: statement.to_owned(), signatures: signatures.to_owned(), compat: view.compat })
    }

    /// The one spelling of this keyring.
    ///
    /// # Errors
    /// When a count does not fit its field; never after [`Self::parse`].
    pub fn emit(&self) -> Result<Vec<u8>, KeyringError> {
        let signed = self.statement.signed_bytes()?;
        let mut out = alloc::vec![0; keyring::VERSION.offset];
        out.extend_from_slice(&signed);
        out.extend_from_slice(&self.signatures.count().to_le_bytes());
        out.extend_from_slice(&[0; COUNT_PADDING]);
        self.signatures.write(&mut out);
        let total = out.len() as u64;
        Preamble { compat: self.compat, ..Preamble::v1(MAGIC, keyring::SIZE, total) }.emit(&mut out);
        Ok(out)
    }

    /// The bytes that were signed.
    ///
    /// # Errors
    /// As [`Self::emit`].
    pub fn message(&self) -> Result<Vec<u8>, KeyringError> {
        self.statement.message()
    }

    /// What is claimed.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// By whom.
    pub const fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// Raised by each change; a client refuses a lower one than it holds.
    pub const fn version(&self) -> u64 {
        self.statement.version
    }
}

/// What the bytes of a keyring claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claims<'a> {
    pub statement: StatementView<'a>,
    pub signatures: SignaturesView<'a>,
}

/// A keyring where it lies; see [`view`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyringView<'a> {
    pub claims: Claims<'a>,
    /// The signed bytes, without what is put before them in the message.
    signed: &'a [u8],
    compat: u32,
}

impl<'a> KeyringView<'a> {
    /// Reads a keyring; `bytes` must hold it and nothing more.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, KeyringError> {
        Self::parse_with(bytes, Keys::Unknown)
    }

    /// The same of bytes that [`Self::parse`] has taken before.
    pub fn parse_again(bytes: &'a [u8]) -> Result<Self, KeyringError> {
        Self::parse_with(bytes, Keys::Checked)
    }

    fn parse_with(bytes: &'a [u8], keys: Keys) -> Result<Self, KeyringError> {
        if bytes.len() > MAX_LEN {
            return Err(KeyringError::TooMany("bytes"));
        }
        let (preamble, object) = Preamble::parse(bytes, &MAGIC, keyring::SIZE, 0)?;
        if object.len() != bytes.len() {
            return Err(KeyringError::Malformed);
        }
        let (statement, end) = StatementView::read(object, keys)?;
        let signed = object.get(keyring::VERSION.offset..end).ok_or(KeyringError::Truncated)?;
        let mut cursor = Cursor::new(object);
        cursor.take(end).ok_or(KeyringError::Truncated)?;
        let count = cursor.u16().ok_or(KeyringError::Truncated)?;
        if cursor.array::<COUNT_PADDING>().ok_or(KeyringError::Truncated)? != [0; COUNT_PADDING] {
            return Err(KeyringError::Malformed);
        }
        let signatures = SignaturesView::read(&mut cursor, count)?;
        if !cursor.remaining().is_empty() {
            return Err(KeyringError::Malformed);
        }
        Ok(Self { claims: Claims { statement, signatures }, signed, compat: preamble.compat })
    }

    /// The bytes that were signed: fewer than the keyring has.
    pub fn message(&self) -> Vec<u8> {
        [DOMAIN, self.signed].concat()
    }
}
