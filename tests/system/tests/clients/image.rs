//! A small image as an OCI layout on the disk, so that what a client has pushed and pulled can be compared with it.

use plyos_test_system::programs::{command, run};
use plyos_test_system::trees::{Tree, noise, prose};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The layout, tagged `1`, and the tree in it.
pub struct Image {
    pub layout: PathBuf,
    pub tree: Tree,
    /// `sha256:HEX`
    pub manifest: String,
}

impl Image {
    /// Makes one in a folder that is not there yet: a layer with a text and noise, large enough for several writes.
    pub fn make(layout: &Path) -> Self {
        let tree = Tree::new()
            .file("etc/motd", prose(1, 20))
            .file("srv/noise", noise(2, 3 << 20))
            .mode("etc/motd", 0o640);
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let keep = |bytes: &[u8]| -> Value {
            let digest = digest_of(bytes);
            fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
            json!({ "digest": digest, "size": bytes.len() })
        };
        let mut tar = command("tar", layout);
        tar.args(["-c", "--sort=name", "--numeric-owner", "-C"]).arg(tree.path()).arg(".");
        let archive = run(&mut tar).ok().stdout;
        let layer = typed(keep(&archive), "application/vnd.oci.image.layer.v1.tar");
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
        });
        let config = typed(keep(config.to_string().as_bytes()), "application/vnd.oci.image.config.v1+json");
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let mut manifest = typed(keep(manifest.to_string().as_bytes()), MANIFEST);
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
        let digest = manifest["digest"].as_str().unwrap().to_owned();
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        Self { layout: layout.to_owned(), tree, manifest: digest }
    }

    /// A blob's or manifest's bytes.
    pub fn bytes(&self, digest: &str) -> Vec<u8> {
        blobs(&self.layout)[digest].clone()
    }

    /// The digest of its only layer.
    pub fn layer(&self) -> String {
        let manifest: Value = serde_json::from_slice(&self.bytes(&self.manifest)).unwrap();
        manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
    }
}

/// All blobs of a layout by digest; each is what its name says.
pub fn blobs(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let found: BTreeMap<_, _> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            (format!("sha256:{}", entry.file_name().to_str().unwrap()), fs::read(entry.path()).unwrap())
        })
        .collect();
    for (digest, bytes) in &found {
        assert_eq!(*digest, digest_of(bytes), "{}", layout.display());
    }
    found
}

/// `sha256:HEX`
pub fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn typed(mut descriptor: Value, media_type: &str) -> Value {
    descriptor["mediaType"] = media_type.into();
    descriptor
}
