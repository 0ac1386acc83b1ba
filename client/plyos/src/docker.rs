//! An image in a registry, fetched into an OCI layout.
//!
//! Nothing is checked here but sizes: whoever reads the layout checks each digest. Registries that ask who is there are answered by
//! [`plyos_transfer`], with what `plyos login` or others have kept.

use plyos_ids::{BlobDigest, ManifestDigest};
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use plyos_transfer::layer::Source;
use plyos_transfer::reference::Version;
use plyos_transfer::registry::{MANIFEST, Registry, digest_of};
use plyos_transfer::{Http, Reference};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// What may be answered, in the words of OCI and of Docker.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// Bytes asked for at a time.
const PART: u64 = 8 << 20;

/// Fetches the image for `arch` into a folder.
pub async fn fetch(place: &str, arch: &str, progress: &Progress) -> Result<TempDir, Failure> {
    let reference = Reference::parse(place)?;
    let http = Http::new()?;
    let folder =
        TempDir::with_prefix("plyos-image-").or_fail(ExitCode::Failure, "making a temporary folder")?;
    let blobs = folder.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).or_fail(ExitCode::Failure, "making a temporary folder")?;

    let registry = Registry::new(http.clone(), reference.clone());
    let mut manifest = registry.manifest_as(ACCEPT).await?;
    if let Some(chosen) = of_index(&parse(&manifest, place)?, arch, place)? {
        let reference = Reference { version: Version::Digest(chosen), ..reference };
        manifest = Registry::new(http, reference).manifest_as(ACCEPT).await?;
    }
    let document = parse(&manifest, place)?;
    let digest = digest_of(&manifest);
    write(&blobs.join(digest.to_hex()), &manifest)?;
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": MANIFEST, "digest": digest.to_string(), "size": manifest.len()}
    ]});
    write(&folder.path().join("index.json"), index.to_string().as_bytes())?;

    let layers = document.get("layers").and_then(Value::as_array).into_iter().flatten();
    let wanted: Vec<(BlobDigest, u64)> =
        document.get("config").into_iter().chain(layers).filter_map(blob).collect();
    let bar = progress.bytes("downloading", wanted.iter().map(|(_, size)| size).sum());
    let source = Source::Registry(registry);
    for (digest, size) in wanted {
        let path = blobs.join(digest.to_hex());
        // An image may name a layer twice.
        if !path.exists() {
            let mut file = File::create(&path).or_fail(ExitCode::Failure, "writing a layer")?;
            let mut at = 0;
            while at < size {
                let part = source.range(&digest, size, at, PART.min(size - at)).await?;
                file.write_all(&part).or_fail(ExitCode::Failure, "writing a layer")?;
                at += part.len() as u64;
                bar.inc(part.len() as u64);
            }
        }
    }
    bar.finish_and_clear();
    Ok(folder)
}

/// The manifest for `arch` that an index names; none when this is no index.
fn of_index(document: &Value, arch: &str, place: &str) -> Result<Option<ManifestDigest>, Failure> {
    let Some(manifests) = document.get("manifests").and_then(Value::as_array) else { return Ok(None) };
    let text = |one: &Value, pointer: &str| one.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let chosen = manifests.iter().find(|one| {
        text(one, "/platform/os").as_deref() == Some("linux")
            && text(one, "/platform/architecture").as_deref() == Some(arch)
    });
    let digest = chosen.and_then(|one| text(one, "/digest"));
    let digest = digest
        .as_deref()
        .and_then(|digest| digest.strip_prefix("sha256:"))
        .and_then(|hex| ManifestDigest::parse(hex).ok());
    let missing = || format!("reading {place}: it has no image for {arch}; choose another by --arch");
    digest.map(Some).ok_or_else(|| Failure::new(ExitCode::Machine, missing()))
}

fn parse(bytes: &[u8], place: &str) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).or_fail(ExitCode::Network, format_args!("reading the manifest of {place}"))
}

/// Digest and size of what a descriptor names.
fn blob(descriptor: &Value) -> Option<(BlobDigest, u64)> {
    let digest = BlobDigest::parse(descriptor.get("digest")?.as_str()?).ok()?;
    Some((digest, descriptor.get("size")?.as_u64()?))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).or_fail(ExitCode::Failure, "writing the image's description")
}
