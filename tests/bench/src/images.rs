//! OCI layouts of bytes that nothing can compress or share: what registries are filled with, and what a web server
//! serves as it is.

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Media type of the manifests that are made here.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Bytes that are made at a time, so that the bench stays small.
const PIECE: usize = 1 << 20;

/// A blob or manifest of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 in hexadecimal.
    pub hex: String,
    /// Its bytes.
    pub size: u64,
}

impl Blob {
    /// As registries write it.
    pub fn digest(&self) -> String {
        format!("sha256:{}", self.hex)
    }

    fn descriptor(&self, media_type: &str) -> serde_json::Value {
        json!({ "mediaType": media_type, "digest": self.digest(), "size": self.size })
    }
}

/// A layout with one image, tagged `1`.
pub struct Image {
    folder: PathBuf,
    /// Name of its folder, and of its repository.
    pub name: &'static str,
    /// Its layers, in the order of the sizes that were asked for.
    pub layers: Vec<Blob>,
    /// Its manifest.
    pub manifest: Blob,
}

impl Image {
    /// Makes an image below `place`, with layers of these sizes in bytes. The same name gives the same bytes.
    pub fn make(place: &Path, name: &'static str, sizes: &[u64]) -> Result<Self> {
        let folder = place.join(name);
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).with_context(|| format!("making {}", blobs.display()))?;
        let mut layers = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            layers.push(random(&blobs, &format!("{name} {number}"), *size)?);
        }
        let config = keep(&blobs, json!({ "architecture": "amd64", "os": "linux", "author": name }))?;
        let layer_type = "application/vnd.oci.image.layer.v1.tar";
        let manifest = keep(
            &blobs,
            json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
                "layers": layers.iter().map(|layer| layer.descriptor(layer_type)).collect::<Vec<_>>(),
            }),
        )?;
        let mut entry = manifest.descriptor(MANIFEST);
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("annotations".into(), json!({ "org.opencontainers.image.ref.name": "1" }));
        }
        write(&folder.join("index.json"), &json!({ "schemaVersion": 2, "manifests": [entry] }))?;
        write(&folder.join("oci-layout"), &json!({ "imageLayoutVersion": "1.0.0" }))?;
        Ok(Self { folder, name, layers, manifest })
    }

    /// The layout's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where registries have a blob.
    pub fn registry_path(&self, blob: &Blob) -> String {
        format!("/v2/{}/blobs/{}", self.name, blob.digest())
    }

    /// Where a web server over `place` has a blob.
    pub fn file_path(&self, blob: &Blob) -> String {
        format!("/{}/blobs/sha256/{}", self.name, blob.hex)
    }

    /// The file of a blob.
    pub fn file(&self, blob: &Blob) -> PathBuf {
        self.folder.join("blobs/sha256").join(&blob.hex)
    }
}

fn random(blobs: &Path, seed: &str, size: u64) -> Result<Blob> {
    let mut bytes = blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().take(size);
    let unnamed = blobs.join("unnamed");
    let mut file = std::fs::File::create(&unnamed).context("making a blob")?;
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        let read = bytes.read(&mut piece)?;
        let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else { break };
        hasher.update(piece);
        std::io::Write::write_all(&mut file, piece).context("writing a blob")?;
    }
    let hex = hex(&hasher.finalize());
    std::fs::rename(&unnamed, blobs.join(&hex)).context("naming a blob")?;
    Ok(Blob { hex, size })
}

fn keep(blobs: &Path, document: serde_json::Value) -> Result<Blob> {
    let bytes = serde_json::to_vec(&document)?;
    let hex = hex(&Sha256::digest(&bytes));
    std::fs::write(blobs.join(&hex), &bytes).context("writing a document of an image")?;
    Ok(Blob { hex, size: bytes.len() as u64 })
}

fn write(path: &Path, document: &serde_json::Value) -> Result<()> {
    std::fs::write(path, serde_json::to_vec(document)?).with_context(|| format!("writing {}", path.display()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_what_their_names_say() {
        let folder = tempfile::tempdir().unwrap();
        let image = Image::make(folder.path(), "one", &[0, 5, 3 << 20]).unwrap();
        for blob in image.layers.iter().chain([&image.manifest]) {
            let bytes = std::fs::read(image.file(blob)).unwrap();
            assert_eq!((bytes.len() as u64, hex(&Sha256::digest(&bytes))), (blob.size, blob.hex.clone()));
        }
        assert_ne!(image.layers[1], image.layers[2]);
        let other = Image::make(folder.path(), "two", &[0, 5]).unwrap();
        assert_eq!(other.layers[0], image.layers[0], "the empty blob");
        assert_ne!(other.layers[1], image.layers[1], "another name");
    }
}
