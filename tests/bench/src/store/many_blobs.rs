//! A registry's storage with very many small blobs, written as files: pushing them would take longer than all that is measured.

use anyhow::{Context, Result};
use bytes::Bytes;
use plyos_blobs::{Digest, Recipe};
use std::path::Path;

/// The repository that holds them.
pub const REPOSITORY: &str = "many";

/// Fills a new storage; gives the path by which a server has the last blob, and its bytes.
pub fn fill(storage: &Path, count: u32) -> Result<(String, Vec<u8>)> {
    crate::rivals::empty(storage)?;
    let recipes = storage.join("blobs/sha256");
    let links = storage.join("repositories").join(REPOSITORY).join("_blobs/sha256");
    for folder in [&recipes, &links] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    std::fs::write(storage.join("layout"), "plyos-registry 2\n").context("writing the storage's layout")?;
    let mut last = (String::new(), Vec::new());
    for number in 0..count {
        let bytes = number.to_le_bytes().repeat(64);
        let digest = Digest::of(&bytes);
        let recipe = Recipe::inline(Bytes::from(bytes.clone())).context("making a recipe")?;
        std::fs::write(recipes.join(digest.hex()), recipe.emit()).context("writing a recipe")?;
        std::fs::write(links.join(digest.hex()), "").context("writing a link")?;
        last = (format!("/v2/{REPOSITORY}/blobs/{digest}"), bytes);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blob_is_a_recipe_and_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let storage = folder.path().join("storage");
        let (path, bytes) = fill(&storage, 3).unwrap();
        let (_, hex) = path.rsplit_once(':').unwrap();
        let recipe = Bytes::from(std::fs::read(storage.join("blobs/sha256").join(hex)).unwrap());
        assert_eq!(Recipe::parse(&recipe).unwrap(), Recipe::inline(Bytes::from(bytes)).unwrap());
        assert_eq!(std::fs::read_dir(storage.join("repositories/many/_blobs/sha256")).unwrap().count(), 3);
    }
}
