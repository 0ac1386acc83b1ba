//! A registry's blobs as they lie in its storage folder (docs/registry-plan.md): read, put there and damaged behind the server's back.

use crate::registry::Tampered;
use bytes::Bytes;
use plyos_blobs::{Body, DataId, Extent, MOST_INLINE, Recipe};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// The blobs of a storage folder.
#[derive(Debug, Clone)]
pub struct Stored {
    folder: PathBuf,
}

impl Stored {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// File of a blob's recipe, without which there is no blob; `digest` with or without `sha256:`.
    pub fn recipe(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// The bytes of a blob, put together by its recipe.
    pub fn read(&self, digest: &str) -> Vec<u8> {
        let path = self.recipe(digest);
        let recipe = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let recipe = Recipe::parse(&Bytes::from(recipe)).unwrap();
        match recipe.body() {
            Body::Inline(bytes) => bytes.to_vec(),
            Body::Extents(extents) => extents.iter().flat_map(|extent| self.extent(extent)).collect(),
        }
    }

    /// Puts a blob into the storage. Gives its digest in hexadecimal.
    pub fn keep(&self, bytes: &[u8]) -> String {
        let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        fs::write(self.recipe(&digest), self.recipe_of(bytes)).unwrap();
        digest
    }

    /// Gives a blob other bytes than its digest says, until what is returned is dropped.
    ///
    /// # Panics
    /// When nothing was changed.
    pub fn tamper(&self, digest: &str, change: impl FnOnce(&mut Vec<u8>)) -> Tampered {
        let original = self.read(digest);
        let mut bytes = original.clone();
        change(&mut bytes);
        assert_ne!(bytes, original, "{digest} was not tampered with");
        let recipe = self.recipe_of(&bytes);
        Tampered::with(&self.recipe(digest), |stored| *stored = recipe.to_vec())
    }

    /// Turns one bit of the byte at `offset` of a blob.
    pub fn flip(&self, digest: &str, offset: u64) -> Tampered {
        self.tamper(digest, |bytes| bytes[usize::try_from(offset).unwrap()] ^= 1)
    }

    fn extent(&self, extent: &Extent) -> Vec<u8> {
        let data = fs::read(self.data(&extent.data)).unwrap();
        let (start, length) = (extent.offset.try_into().unwrap(), usize::try_from(extent.length).unwrap());
        data[start..][..length].to_vec()
    }

    /// A recipe of these bytes, which are stored if they are too many for it.
    fn recipe_of(&self, bytes: &[u8]) -> Bytes {
        if bytes.len() <= MOST_INLINE {
            return Recipe::inline(Bytes::copy_from_slice(bytes)).unwrap().emit();
        }
        let hash = blake3::hash(bytes);
        let data = DataId::from_bytes(*hash.as_bytes().first_chunk().unwrap());
        fs::write(self.data(&data), bytes).unwrap();
        Recipe::of_extents([Extent { data, offset: 0, length: bytes.len() as u64 }]).unwrap().emit()
    }

    fn data(&self, id: &DataId) -> PathBuf {
        self.folder.join("data").join(id.to_string())
    }
}
