//! skopeo as a foreign witness that pushing and pulling are what the rest of the world means by them.

use std::path::Path;
use std::process::{Output, Stdio};

use plyos_blobs::Digest;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{MANIFEST, Server, descriptor, header};

/// Set to 1 where no foreign tools can be installed.
const SKIP: &str = "PLYOS_SKIP_FOREIGN";

async fn skopeo(arguments: &[&str]) -> Output {
    let mut command = Command::new("skopeo");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await;
    output.unwrap_or_else(|e| panic!("cannot run skopeo ({e}); install it, or set {SKIP}=1 to go without"))
}

fn write_blob(layout: &Path, content: &[u8]) {
    std::fs::write(layout.join("blobs/sha256").join(Digest::of(content).hex()), content).unwrap();
}

/// An OCI layout with one image of one (empty) tar layer. Returns the manifest.
fn write_layout(layout: &Path) -> String {
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let layer = vec![0u8; 10_240];
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer).to_string()] },
    })
    .to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string();
    let mut entry = descriptor(MANIFEST, manifest.as_bytes());
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "1.0" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
    for blob in [layer.as_slice(), config.as_bytes(), manifest.as_bytes()] {
        write_blob(layout, blob);
    }
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(layout.join("index.json"), index).unwrap();
    manifest
}

#[tokio::test]
async fn skopeo_pushes_and_pulls() {
    if std::env::var(SKIP).is_ok_and(|value| value == "1") {
        return;
    }
    let server = Server::open().await;
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    let manifest = write_layout(&from);
    let digest = Digest::of(manifest.as_bytes()).to_string();
    let here = format!("docker://{}/library/tiny:1.0", server.address);
    let copy = async |from: &str, to: &str| {
        // Digests are kept: nothing is compressed or rewritten on the way.
        let arguments = ["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false"];
        let arguments = [&arguments[..], &["--dest-tls-verify=false", from, to]].concat();
        let output = skopeo(&arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    copy(&format!("oci:{}:1.0", from.display()), &here).await;
    let pushed = server.get("/v2/library/tiny/manifests/1.0").await;
    assert_eq!(header(&pushed, "docker-content-digest"), digest);
    assert_eq!(pushed.text().await.unwrap(), manifest);

    copy(&here, &format!("oci:{}:1.0", to.display())).await;
    let index: Value = serde_json::from_slice(&std::fs::read(to.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest);
    for entry in std::fs::read_dir(from.join("blobs/sha256")).unwrap() {
        let name = entry.unwrap().file_name();
        let blob = |layout: &Path| std::fs::read(layout.join("blobs/sha256").join(&name)).unwrap();
        assert_eq!(blob(&from), blob(&to), "{name:?}");
    }

    let output = skopeo(&["list-tags", "--tls-verify=false", &here.replace(":1.0", "")]).await;
    let tags: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(tags["Tags"], json!(["1.0"]));
}
