//! Key files: `NAME.key` with the secret, readable by its owner alone, and `NAME.pub` for everybody else.
//!
//! A secret stands in the clear ([`mod@plain`]) or under a passphrase ([`encrypted`]); both files say whose key it is, so that
//! [`look`] needs no passphrase. [`Passphrases`] is where the program's passphrases come from.

mod encrypted;
mod error;
mod passphrase;
mod plain;
mod role;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use plyos_trust::key::PublicKey;
use zeroize::Zeroizing;

pub use error::KeyFileError;
pub use passphrase::{NoPassphrases, Passphrase, Passphrases};
pub use role::Role;

use crate::{
    files::{self, Existing, Readers},
    secret::{SecretKey, Signer as _},
};

/// Bytes of a key file: bounds what is read by mistake.
const MAX_LEN: u64 = 16 << 10;

/// Whose key a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// What it is for.
    pub role: Role,
    /// Its public half; of an encrypted file a claim until it is opened.
    pub public: PublicKey,
    /// Whether a passphrase is needed to open it.
    pub encrypted: bool,
}

/// How a secret is kept.
#[derive(Debug, Clone, Copy)]
pub enum Protection<'a> {
    /// In the clear, readable by the owner of the file.
    Owner,
    /// Encrypted.
    Passphrase(&'a Passphrase),
}

/// Makes a key for `role` and writes `DIR/NAME.key`, in the clear, and `DIR/NAME.pub`.
///
/// # Errors
/// As [`new_protected`].
pub fn new(dir: &Path, name: &str, role: Role) -> Result<SecretKey, KeyFileError> {
    new_protected(dir, name, role, Protection::Owner)
}

/// Makes a key for `role` and writes `DIR/NAME.key` and `DIR/NAME.pub`.
///
/// # Errors
/// When a key of this name exists: a key is never overwritten.
pub fn new_protected(
    dir: &Path,
    name: &str,
    role: Role,
    protection: Protection<'_>,
) -> Result<SecretKey, KeyFileError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=100).contains(&name.len()) || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(KeyFileError::Name(name.into()));
    }
    let key = SecretKey::generate()?;
    let path = dir.join(format!("{name}.key"));
    write_secret(&path, &key, role, protection, Existing::Keep)?;
    let path = dir.join(format!("{name}.pub"));
    let text = plain::public_text(key.public(), role);
    files::write(&path, text.as_bytes(), Readers::Everybody, Existing::Replace)
        .map_err(|error| KeyFileError::Io { doing: "write", path, error })?;
    Ok(key)
}

/// Keeps the key of `path` in another way from now on; the key stays the same.
///
/// # Errors
/// When it cannot be opened or written; the file is as it was then.
pub fn protect(
    path: &Path,
    passphrases: &dyn Passphrases,
    protection: Protection<'_>,
) -> Result<Label, KeyFileError> {
    let role = look(path)?.role;
    let key = open_with(path, role, passphrases)?;
    write_secret(path, &key, role, protection, Existing::Replace)?;
    look(path)
}

/// Reads the key of `path` (`….key`), which must be for `role` and in the clear.
///
/// # Errors
/// As [`open_with`].
pub fn open(path: &Path, role: Role) -> Result<SecretKey, KeyFileError> {
    open_with(path, role, &NoPassphrases)
}

/// Reads the key of `path` (`….key`), which must be for `role`; asks for its passphrase if it has one.
///
/// # Errors
/// When the file can be read by others, is not a key file, is for another role, or the passphrase is not its own.
pub fn open_with(path: &Path, role: Role, passphrases: &dyn Passphrases) -> Result<SecretKey, KeyFileError> {
    let bytes = read_secret(path)?;
    let label = label_of(path, &bytes)?;
    if label.role != role {
        let found = label.role.to_string();
        return Err(KeyFileError::Role { path: path.into(), found, wanted: role });
    }
    if !label.encrypted {
        return plain::read_secret(&bytes).map(|(_, key)| key).map_err(malformed(path));
    }
    let locked = |reason| KeyFileError::Locked { path: path.into(), reason };
    let key = encrypted::read(&bytes, &passphrases.of(path).map_err(locked)?).map_err(locked)?;
    if *key.public() == label.public {
        Ok(key)
    } else {
        Err(malformed(path)("its public and secret halves do not belong together".into()))
    }
}

/// Whose key `path` (`….key`) holds, without opening it.
///
/// # Errors
/// As [`open_with`], but for the passphrase.
pub fn look(path: &Path) -> Result<Label, KeyFileError> {
    label_of(path, &read_secret(path)?)
}

/// Reads a public file (`….pub`).
///
/// # Errors
/// When it cannot be read or is none.
pub fn public(path: &Path) -> Result<Label, KeyFileError> {
    let failed = |error| KeyFileError::Io { doing: "read", path: path.into(), error };
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MAX_LEN).read_to_end(&mut bytes).map_err(failed)?;
    plain::read_public(&bytes).map_err(malformed(path))
}

fn label_of(path: &Path, bytes: &[u8]) -> Result<Label, KeyFileError> {
    if encrypted::is_encrypted(bytes) {
        return encrypted::read_label(bytes).map_err(malformed(path));
    }
    plain::read_secret(bytes).map(|(label, _)| label).map_err(malformed(path))
}

fn malformed(path: &Path) -> impl FnOnce(String) -> KeyFileError {
    let path = path.to_owned();
    move |reason| KeyFileError::Malformed { path, reason }
}

fn write_secret(
    path: &Path,
    key: &SecretKey,
    role: Role,
    protection: Protection<'_>,
    existing: Existing,
) -> Result<(), KeyFileError> {
    let text = match protection {
        Protection::Owner => plain::secret_text(key, role),
        Protection::Passphrase(passphrase) => Zeroizing::new(
            encrypted::text(key, role, passphrase)
                .map_err(|reason| KeyFileError::Encrypt { path: path.into(), reason })?,
        ),
    };
    match files::write(path, text.as_bytes(), Readers::Owner, existing) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(KeyFileError::Exists(path.into())),
        result => result.map_err(|error| KeyFileError::Io { doing: "write", path: path.into(), error }),
    }
}

fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |error| KeyFileError::Io { doing: "read", path: path.into(), error };
    let file = fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileError::Readable { path: path.into() });
    }
    // Room for all of it at once: growing would leave copies behind that are not cleared.
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(MAX_LEN) as usize + 1));
    file.take(MAX_LEN).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
