//! An OCI layout that is made for a test, right but for what the test changes.

use std::fs;
use std::path::{Path, PathBuf};

use plyos_layer_import::Source;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A layout in a folder of its own.
pub struct Layout {
    folder: TempDir,
    /// What `index.json` will list.
    pub manifests: Vec<Value>,
}

/// `sha256:HEX`
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Layout {
    /// Without images.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        Self { folder, manifests: Vec::new() }
    }

    /// With one image of these tars, not compressed.
    pub fn of(layers: &[Vec<u8>]) -> Self {
        let mut layout = Self::new();
        let image = layout.image(layers, |_, _| {});
        layout.manifests.push(image);
        layout
    }

    /// Where a blob lies.
    pub fn path(&self, digest: &str) -> PathBuf {
        self.folder.path().join("blobs").join(digest.replace(':', "/"))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stores a blob and describes it.
    pub fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let digest = digest(bytes);
        fs::write(self.path(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Stores an image whose manifest and config `change` may spoil, and describes it.
    pub fn image(&self, layers: &[Vec<u8>], change: impl FnOnce(&mut Value, &mut Value)) -> Value {
        let stored = layers.iter().map(|layer| self.blob(layer, "application/vnd.oci.image.layer.v1.tar"));
        let stored: Vec<Value> = stored.collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let mut config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let mut manifest = json!({"schemaVersion": 2, "layers": stored});
        change(&mut manifest, &mut config);
        manifest["config"] =
            self.blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        self.blob(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json")
    }

    /// As something to read.
    pub fn source(&self, tag: Option<&str>) -> Source {
        let index = json!({"schemaVersion": 2, "manifests": self.manifests});
        fs::write(self.folder.path().join("index.json"), index.to_string()).unwrap();
        Source::Layout { folder: self.folder.path().to_owned(), tag: tag.map(str::to_owned) }
    }
}
