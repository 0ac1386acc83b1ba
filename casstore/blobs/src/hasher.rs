//! A running hash, whose state can be put away and taken up again, by another server if need be.

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

use crate::digest::{Algorithm, Digest};

/// The hash of what came so far.
#[derive(Clone, Debug)]
pub struct Hasher(Running);

#[derive(Clone, Debug)]
enum Running {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// The hash of nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => Running::Sha256(Sha256::new()),
            Algorithm::Sha512 => Running::Sha512(Sha512::new()),
        })
    }

    /// How it hashes.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Running::Sha256(_) => Algorithm::Sha256,
            Running::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Adds bytes at the end.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Running::Sha256(hasher) => hasher.update(bytes),
            Running::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that came.
    pub fn finish(self) -> Digest {
        match self.0 {
            Running::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Running::Sha512(hasher) => Digest::Sha512(hasher.finalize().into()),
        }
    }

    /// The state as bytes, in the form of the `sha2` crate.
    pub(crate) fn save(&self) -> Vec<u8> {
        match &self.0 {
            Running::Sha256(hasher) => hasher.serialize().to_vec(),
            Running::Sha512(hasher) => hasher.serialize().to_vec(),
        }
    }

    /// Takes a state up again; `None` if it is none of this algorithm.
    pub(crate) fn restore(algorithm: Algorithm, saved: &[u8]) -> Option<Self> {
        Some(Self(match algorithm {
            Algorithm::Sha256 => Running::Sha256(state(saved)?),
            Algorithm::Sha512 => Running::Sha512(state(saved)?),
        }))
    }
}

fn state<H: SerializableState>(saved: &[u8]) -> Option<H> {
    let saved: &SerializedState<H> = saved.try_into().ok()?;
    H::deserialize(saved).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_goes_on_where_it_was() {
        let content: Vec<u8> = (0..1000u32).map(|n| n as u8).collect();
        for algorithm in Algorithm::ALL {
            for cut in [0, 1, 63, 64, 127, 128, 500, 1000] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&content[..cut]);
                let mut again = Hasher::restore(algorithm, &hasher.save()).unwrap();
                again.update(&content[cut..]);
                assert_eq!(again.finish(), algorithm.digest(&content), "{algorithm} {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let saved = Hasher::new(Algorithm::Sha256).save();
        assert!(Hasher::restore(Algorithm::Sha512, &saved).is_none());
        assert!(Hasher::restore(Algorithm::Sha256, &saved[1..]).is_none());
        assert!(Hasher::restore(Algorithm::Sha256, &[]).is_none());
    }
}
