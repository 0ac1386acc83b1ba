//! Passphrases of key files, and where they come from.

use std::{fmt, path::Path};

use zeroize::Zeroizing;

/// A passphrase; its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// The passphrase, if it is not empty.
    pub fn new(text: Zeroizing<String>) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Never shows it.
impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// Where passphrases come from: a prompt, a file, the environment. The program decides.
pub trait Passphrases: fmt::Debug {
    /// The passphrase of the key file `path`.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    fn of(&self, path: &Path) -> Result<Passphrase, String>;
}

/// One for all files.
impl Passphrases for Passphrase {
    fn of(&self, _: &Path) -> Result<Passphrase, String> {
        Ok(self.clone())
    }
}

/// There are none: only keys in the clear can be used.
#[derive(Debug, Clone, Copy)]
pub struct NoPassphrases;

impl Passphrases for NoPassphrases {
    fn of(&self, _: &Path) -> Result<Passphrase, String> {
        Err("it is encrypted, and no passphrase was given".into())
    }
}
