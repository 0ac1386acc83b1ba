//! The digest by which a registry names content.
//!
//! The algorithms are those that OCI registers, SHA-256 and SHA-512. A [`Digest`] is a fixed number of bytes, so whatever is
//! made from it is safe in a path. A blob that was pushed under both algorithms is two blobs.

use std::fmt;
use std::str::FromStr;

use crate::hasher::Hasher;

/// How a digest is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, which every client speaks.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The digest of some content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// By SHA-256.
    Sha256([u8; 32]),
    /// By SHA-512.
    Sha512([u8; 64]),
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not by the grammar `ALGORITHM:ENCODED`.
    #[error("a digest is written sha256:HEX or sha512:HEX")]
    Form,
    /// By the grammar, but of an algorithm that is not registered.
    #[error("only sha256 and sha512 digests are taken here")]
    Algorithm,
    /// Not as many lower-case hexadecimal digits as the algorithm gives.
    #[error("a sha256 digest has 64 lower-case hexadecimal digits, a sha512 digest 128")]
    Hex,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name, as it stands before the colon and in paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == text).ok_or(DigestError::Algorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Algorithm::Sha256.digest(bytes)
    }

    /// Parses the lower-case digits that follow the colon, as they stand in a path.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Result<Self, DigestError> {
        match algorithm {
            Algorithm::Sha256 => bytes_of(hex).map(Self::Sha256),
            Algorithm::Sha512 => bytes_of(hex).map(Self::Sha512),
        }
    }

    /// How it was computed.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Its 32 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// Its 64 or 128 digits, without the algorithm.
    pub fn hex(&self) -> String {
        hex(self.as_bytes())
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Just as many bytes as lower-case digits say.
pub(crate) fn bytes_of<const N: usize>(hex: &str) -> Result<[u8; N], DigestError> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(DigestError::Hex);
    }
    let mut bytes = [0u8; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Ok(bytes)
}

fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(DigestError::Hex),
    }
}

/// `[a-z0-9]+([+._-][a-z0-9]+)*`, the grammar of an algorithm, registered or not.
fn names_an_algorithm(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split(['+', '.', '_', '-']).all(part)
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, encoded) = text.split_once(':').ok_or(DigestError::Form)?;
        let character = |b: u8| b.is_ascii_alphanumeric() || b"=_-".contains(&b);
        if !names_an_algorithm(algorithm) || encoded.is_empty() || !encoded.bytes().all(character) {
            return Err(DigestError::Form);
        }
        Self::from_hex(algorithm.parse()?, encoded)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn text_and_bytes_agree() {
        for (text, digest) in [(EMPTY, Digest::of(b"")), (EMPTY_512, Algorithm::Sha512.digest(b""))] {
            assert_eq!(text.parse(), Ok(digest));
            assert_eq!(digest.to_string(), text);
        }
    }

    #[test]
    fn only_the_canonical_form_is_a_digest() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (text, error) in [
            (hex.to_string(), DigestError::Form),
            (String::new(), DigestError::Form),
            ("sha256:".to_owned(), DigestError::Form),
            (format!("SHA256:{hex}"), DigestError::Form),
            (format!("sha256+:{hex}"), DigestError::Form),
            (format!("sha256:../{}", &hex[3..]), DigestError::Form),
            (format!("md5:{hex}"), DigestError::Algorithm),
            (format!("sha256+b64u:{hex}"), DigestError::Algorithm),
            (format!("sha512:{hex}"), DigestError::Hex),
            (format!("sha256:{}", hex.to_uppercase()), DigestError::Hex),
            (format!("sha256:{hex}00"), DigestError::Hex),
            (format!("sha256:{}", &hex[1..]), DigestError::Hex),
            (format!("sha256:{}g", &hex[1..]), DigestError::Hex),
            (EMPTY_512.replace("sha512", "sha256"), DigestError::Hex),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }
}
