//! The key file under a passphrase: a line that says whose key it is, then PKCS#8 `ENCRYPTED PRIVATE KEY` in PEM.
//!
//! ```text
//! plyos secret-key 1 role=ROLE algorithm=ed25519 public=HEX
//! -----BEGIN ENCRYPTED PRIVATE KEY-----
//! ```
//!
//! PBES2 with scrypt and AES-256-CBC (RFC 8018, RFC 7914), the key as RFC 8410 has it; `openssl pkey` reads the file as it
//! stands. The line is not protected: it is believed only as far as the key inside agrees.

use pkcs8::{
    AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument,
    der::{asn1::OctetStringRef, pem::LineEnding},
};
use zeroize::Zeroizing;

use super::{Label, Passphrase, Role, plain};
use crate::secret::{SecretKey, Signer as _};

/// id-Ed25519, RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// What the PEM is called, RFC 7468.
const PEM_LABEL: &str = "ENCRYPTED PRIVATE KEY";
/// How the file starts.
const HEAD: &str = "plyos secret-key 1 ";
/// The secret is an octet string in an octet string (RFC 8410, CurvePrivateKey): tag and length of the inner one.
const INNER: [u8; 2] = [0x04, 32];
/// Memory that a file may ask for to turn its passphrase into a key: bytes, eight times what this program writes.
const MAX_SCRYPT_MEMORY: u64 = 256 << 20;
/// Rounds of that memory it may ask for.
const MAX_SCRYPT_ROUNDS: u64 = 16;

/// Whether these are the bytes of an encrypted file.
pub(super) fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(HEAD.as_bytes())
}

/// The text of the file.
pub(super) fn text(key: &SecretKey, role: Role, passphrase: &Passphrase) -> Result<String, String> {
    let failed = |error: pkcs8::Error| error.to_string();
    let inner = Zeroizing::new([&INNER[..], key.seed()].concat());
    let octets = OctetStringRef::new(&inner).map_err(|error| error.to_string())?;
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
    let document =
        PrivateKeyInfoRef::new(algorithm, octets).encrypt(passphrase.as_bytes()).map_err(failed)?;
    let pem = document.to_pem(PEM_LABEL, LineEnding::LF).map_err(|error| error.to_string())?;
    let public = plyos_trust::key::to_hex(key.public().as_bytes());
    Ok(format!("{HEAD}role={role} algorithm=ed25519 public={public}\n{}", pem.as_str()))
}

/// Whose key it is, as the first line says.
pub(super) fn read_label(bytes: &[u8]) -> Result<Label, String> {
    let (line, _) = parts(bytes)?;
    let mut words = line.split(' ');
    let mut word = |name: &str| {
        let found = words.next().and_then(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.ok_or(format!("its first line has no {name}"))
    };
    let (role, algorithm, public) = (word("role")?, word("algorithm")?, word("public")?);
    Ok(Label { encrypted: true, ..plain::label(role, algorithm, public)? })
}

/// Decrypts the key.
pub(super) fn read(bytes: &[u8], passphrase: &Passphrase) -> Result<SecretKey, String> {
    let (_, pem) = parts(bytes)?;
    let damaged = "its encrypted part is damaged; restore it from a copy";
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| damaged)?;
    if label != PEM_LABEL {
        return Err(damaged.into());
    }
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| damaged)?;
    check_cost(&encrypted)?;
    let wrong = "the passphrase is not the right one";
    let document = encrypted.decrypt(passphrase.as_bytes()).map_err(|_| wrong)?;
    // A wrong passphrase may by chance decrypt to something.
    let key = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| wrong)?;
    let seed = key.private_key.as_bytes().strip_prefix(&INNER).and_then(|seed| seed.try_into().ok());
    match seed {
        Some(seed) if key.algorithm.oid == ED25519 => {
            SecretKey::from_seed(seed).map_err(|error| error.to_string())
        }
        _ => Err("it holds a key of an algorithm that is not known here".into()),
    }
}

/// A file cannot ask for more memory or time than a key is worth.
fn check_cost(encrypted: &EncryptedPrivateKeyInfoRef<'_>) -> Result<(), String> {
    let Some(scrypt) = encrypted.encryption_algorithm.pbes2().and_then(|scheme| scheme.kdf.scrypt()) else {
        return Err(
            "its passphrase is not protected by scrypt; encrypt it again with `plyos keys protect`".into()
        );
    };
    let memory = scrypt.cost_parameter.saturating_mul(u64::from(scrypt.block_size)).saturating_mul(128);
    if memory > MAX_SCRYPT_MEMORY || u64::from(scrypt.parallelization) > MAX_SCRYPT_ROUNDS {
        return Err("it asks for more memory than a passphrase is worth; make a new key".into());
    }
    Ok(())
}

/// The first line without its head, and the PEM.
fn parts(bytes: &[u8]) -> Result<(&str, &str), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
    let rest = text.strip_prefix(HEAD).ok_or("it is of another kind or version")?;
    Ok(rest.split_once('\n').ok_or("it has one line only")?)
}
