//! The inputs that all makers share: times, keys, bytes that look random.

use anyhow::Result;
use plyos_custody::SecretKey;

/// When everything was made: 2027-01-15 08:00:00 UTC.
pub const NOW: u64 = 1_800_000_000;

/// The key of a seed. Ed25519 needs no randomness to sign, so what it signs is fixed as well.
pub fn key(seed: u8) -> Result<SecretKey> {
    Ok(SecretKey::from_seed(&[seed; 32])?)
}

/// `len` bytes that do not compress: the extended output of BLAKE3 over a name.
pub fn noise(name: &str, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut out);
    out
}

/// An identity made of a name: its BLAKE3.
pub fn hash(name: &str) -> [u8; 32] {
    *blake3::hash(name.as_bytes()).as_bytes()
}
