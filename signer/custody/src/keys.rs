//! Key files: `NAME.key` with the secret, readable by its owner alone, and `NAME.pub` for everybody else.
//!
//! ```text
//! {"plyos":"secret-key","version":1,"role":ROLE,"algorithm":"ed25519","public":HEX,"secret":HEX,"encryption":null}
//! {"plyos":"public-key","version":1,"role":ROLE,"algorithm":"ed25519","public":HEX,"key-id":HEX}
//! ```
//!
//! The secret stands there in the clear; `encryption` is the place for a passphrase, and a file that uses it is refused
//! until this program knows how.

use std::{
    fmt, fs, io,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use plyos_ids::decode_hex;
use plyos_trust::key::{PublicKey, to_hex};
use serde::{Deserialize, de::IgnoredAny};
use zeroize::Zeroizing;

use crate::{
    files::{self, Existing, Readers},
    secret::{NewKeyError, SecretKey, Signer as _},
};

/// What a key is for. A key file that names another role than the one asked for is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Signs root metadata and keyrings.
    Root,
    /// Signs targets and the roles of the kinds.
    Targets,
    /// Signs snapshots.
    Snapshot,
    /// Signs timestamps.
    Timestamp,
    /// Signs certificates.
    Layer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp, Self::Layer];

    /// The word in key files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
            Self::Layer => "layer",
        }
    }

    /// The role of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a key file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("cannot {doing} key file {}: {error}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// There is a key of this name.
    #[error("there is a key in {} already; choose another name", .0.display())]
    Exists(PathBuf),
    /// A name that is not a plain file name.
    #[error("{0:?} cannot be a key's name; use letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// No key could be made.
    #[error(transparent)]
    New(#[from] NewKeyError),
    /// Others than the owner may read it.
    #[error("key file {0} can be read by others; run `chmod 600 {0}`, and make a new key if others had access", path.display())]
    Readable {
        /// Which file.
        path: PathBuf,
    },
    /// Not a key file.
    #[error("{} is not a secret key of Plyos: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Protected in a way that is not known here.
    #[error("key file {} is protected with a passphrase, which this program does not know yet; update it", .0.display())]
    Encrypted(PathBuf),
    /// A key for something else.
    #[error("key file {} is for role {found}, and {wanted} is needed", path.display())]
    Role {
        /// Which file.
        path: PathBuf,
        /// Role in the file.
        found: String,
        /// Role that was asked for.
        wanted: Role,
    },
}

/// Bytes of a key file: bounds what is read by mistake.
const MAX_LEN: u64 = 16 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile<'a> {
    plyos: &'a str,
    version: u32,
    role: &'a str,
    algorithm: &'a str,
    public: &'a str,
    secret: &'a str,
    encryption: Option<IgnoredAny>,
}

/// Makes a key for `role` and writes `DIR/NAME.key` and `DIR/NAME.pub`.
///
/// # Errors
/// When a key of this name exists: a key is never overwritten.
pub fn new(dir: &Path, name: &str, role: Role) -> Result<SecretKey, KeyFileError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=100).contains(&name.len()) || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(KeyFileError::Name(name.into()));
    }
    let key = SecretKey::generate()?;
    let (path, text) = (dir.join(format!("{name}.key")), secret_text(&key, role));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| KeyFileError::Io { doing: "write", path, error }
    };
    match files::write(&path, text.as_bytes(), Readers::Owner, Existing::Keep) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(KeyFileError::Exists(path)),
        result => result.map_err(failed(&path))?,
    }
    let path = dir.join(format!("{name}.pub"));
    let text = public_text(key.public(), role);
    files::write(&path, text.as_bytes(), Readers::Everybody, Existing::Replace).map_err(failed(&path))?;
    Ok(key)
}

/// Reads the key of `path` (`….key`), which must be for `role`.
///
/// # Errors
/// When the file can be read by others, is not a key file, or is for another role.
pub fn open(path: &Path, role: Role) -> Result<SecretKey, KeyFileError> {
    let bytes = read(path)?;
    let malformed = |reason: &str| KeyFileError::Malformed { path: path.into(), reason: reason.into() };
    let file: KeyFile<'_> =
        serde_json::from_slice(&bytes).map_err(|error| malformed(&format!("it cannot be read ({error})")))?;
    if (file.plyos, file.version) != ("secret-key", 1) {
        return Err(malformed("it is of another kind or version"));
    }
    if file.encryption.is_some() {
        return Err(KeyFileError::Encrypted(path.into()));
    }
    if file.role != role.as_str() {
        return Err(KeyFileError::Role { path: path.into(), found: file.role.into(), wanted: role });
    }
    if file.algorithm != "ed25519" {
        return Err(malformed("its algorithm is not known here"));
    }
    let seed = Zeroizing::new(
        decode_hex(file.secret).map_err(|_| malformed("its secret is not 64 hexadecimal digits"))?,
    );
    let key = SecretKey::from_seed(&seed).map_err(|error| malformed(&error.to_string()))?;
    if to_hex(key.public().as_bytes()) != file.public {
        return Err(malformed("its public and secret halves do not belong together"));
    }
    Ok(key)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
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

fn secret_text(key: &SecretKey, role: Role) -> Zeroizing<String> {
    let (public, secret) = (to_hex(key.public().as_bytes()), Zeroizing::new(to_hex(key.seed())));
    // Room for all of it at once: growing would leave copies behind that are not cleared.
    let mut text = Zeroizing::new(String::with_capacity(512));
    for part in [
        r#"{"plyos":"secret-key","version":1,"role":""#,
        role.as_str(),
        r#"","algorithm":"ed25519","public":""#,
        &public,
        r#"","secret":""#,
        &secret,
        "\",\"encryption\":null}\n",
    ] {
        text.push_str(part);
    }
    text
}

fn public_text(key: &PublicKey, role: Role) -> String {
    let (public, id) = (to_hex(key.as_bytes()), key.key_id().to_hex());
    format!(
        "{{\"plyos\":\"public-key\",\"version\":1,\"role\":\"{role}\",\"algorithm\":\"ed25519\",\"public\":\"{public}\",\"key-id\":\"{id}\"}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, PathBuf, SecretKey) {
        let dir = tempfile::tempdir().unwrap();
        let key = new(dir.path(), "root", Role::Root).unwrap();
        let path = dir.path().join("root.key");
        (dir, path, key)
    }

    fn tampered(from: &str, to: &str) -> KeyFileError {
        let (_dir, path, _) = made();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
        open(&path, Role::Root).unwrap_err()
    }

    #[test]
    fn a_key_comes_back_and_its_public_file_tells_no_secret() {
        let (dir, path, key) = made();
        let back = open(&path, Role::Root).unwrap();
        assert_eq!((back.public(), back.seed()), (key.public(), key.seed()));
        let public: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.path().join("root.pub")).unwrap()).unwrap();
        assert_eq!(public["key-id"], key.public().key_id().to_hex());
        assert!(!public.to_string().contains(&to_hex(key.seed())));
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let (dir, path, key) = made();
        assert!(matches!(new(dir.path(), "root", Role::Layer), Err(KeyFileError::Exists(_))));
        assert_eq!(open(&path, Role::Root).unwrap().seed(), key.seed());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "../root", "a/b", ".hidden", "a b"] {
            assert!(matches!(new(dir.path(), name, Role::Root), Err(KeyFileError::Name(_))), "{name}");
        }
    }

    #[test]
    fn key_that_others_can_read_is_refused() {
        let (_dir, path, _) = made();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(open(&path, Role::Root), Err(KeyFileError::Readable { .. })));
    }

    #[test]
    fn each_defect_has_its_error() {
        let (_dir, path, key) = made();
        assert!(matches!(open(&path, Role::Layer), Err(KeyFileError::Role { .. })));
        assert!(matches!(open(Path::new("nowhere.key"), Role::Root), Err(KeyFileError::Io { .. })));
        assert!(matches!(tampered("null", "{\"kdf\":\"x\"}"), KeyFileError::Encrypted(_)));
        assert!(matches!(tampered("\"version\":1", "\"version\":2"), KeyFileError::Malformed { .. }));
        assert!(matches!(tampered("ed25519", "rsa"), KeyFileError::Malformed { .. }));
        assert!(matches!(tampered("\"secret\":\"", "\"secret\":\"zz"), KeyFileError::Malformed { .. }));
        let other = to_hex(SecretKey::generate().unwrap().seed());
        let text = fs::read_to_string(&path).unwrap().replace(&to_hex(key.seed()), &other);
        fs::write(&path, text).unwrap();
        assert!(matches!(open(&path, Role::Root), Err(KeyFileError::Malformed { .. })), "halves of two keys");
    }
}
