//! What the registry must know of a manifest: what kind of document it is and which blobs and manifests it needs.
//!
//! Pure. The bytes are kept as they came; this is only read from them. Documents of other types are refused,
//! because nobody here could tell what they need.

use plyos_blobs::{Digest, DigestError, MediaType};
use serde::Deserialize;

/// A thing that a manifest refers to, and that has to be here before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Where a reference is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Blob,
    Manifest,
}

/// Why a document is no manifest that can be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("manifests of type {0} are not taken; push an OCI or Docker v2 image manifest or index")]
    Type(String),
    #[error("this is no manifest: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the document calls itself {inside}, the Content-Type calls it {outside}")]
    TypeDiffers { inside: String, outside: String },
    #[error("schemaVersion is {0}, not 2")]
    Version(u32),
    #[error("a descriptor has no digest that is taken here: {0}")]
    Digest(#[from] DigestError),
    #[error("it has more than {0} descriptors")]
    TooMany(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    schema_version: u32,
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    urls: Vec<String>,
}

impl Descriptor {
    /// Layers that may not be handed on lie at their own URLs and are never pushed.
    fn is_elsewhere(&self) -> bool {
        !self.urls.is_empty()
            && (self.media_type.contains(".nondistributable.") || self.media_type.contains(".foreign."))
    }
}

/// Reads what a manifest needs, at most `most` things.
pub(crate) fn references(
    media_type: &MediaType,
    bytes: &[u8],
    most: usize,
) -> Result<Vec<Reference>, ManifestError> {
    let (version, inside, descriptors) = match media_type.as_str() {
        "application/vnd.oci.image.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v2+json" => {
            let image: Image = serde_json::from_slice(bytes)?;
            let blobs = std::iter::once(image.config).chain(image.layers);
            let blobs: Vec<_> = blobs.map(|descriptor| (Kind::Blob, descriptor)).collect();
            (image.schema_version, image.media_type, blobs)
        }
        "application/vnd.oci.image.index.v1+json"
        | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            let index: Index = serde_json::from_slice(bytes)?;
            let manifests = index.manifests.into_iter().map(|descriptor| (Kind::Manifest, descriptor));
            (index.schema_version, index.media_type, manifests.collect())
        }
        other => return Err(ManifestError::Type(other.to_owned())),
    };
    if version != 2 {
        return Err(ManifestError::Version(version));
    }
    if let Some(inside) = inside.filter(|inside| inside != media_type.as_str()) {
        return Err(ManifestError::TypeDiffers { inside, outside: media_type.to_string() });
    }
    if descriptors.len() > most {
        return Err(ManifestError::TooMany(most));
    }
    let here = descriptors.into_iter().filter(|(_, descriptor)| !descriptor.is_elsewhere());
    here.map(|(kind, d)| Ok(Reference { kind, digest: d.digest.parse()?, size: d.size })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn descriptor(content: &str) -> Value {
        let digest = Digest::of(content.as_bytes()).to_string();
        json!({ "mediaType": "application/x", "digest": digest, "size": content.len() })
    }

    fn read(media_type: &str, document: Value) -> Result<Vec<Reference>, ManifestError> {
        references(&media_type.parse().unwrap(), document.to_string().as_bytes(), 3)
    }

    #[test]
    fn an_image_needs_its_config_and_layers() {
        let document =
            json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": [descriptor("l")], "more": 1 });
        let found = read(IMAGE, document).unwrap();
        let expected =
            |content: &str| Reference { kind: Kind::Blob, digest: Digest::of(content.as_bytes()), size: 1 };
        assert_eq!(found, [expected("c"), expected("l")]);
    }

    #[test]
    fn an_index_needs_its_manifests() {
        let document = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor("m")] });
        let found = read(INDEX, document).unwrap();
        assert_eq!(found, [Reference { kind: Kind::Manifest, digest: Digest::of(b"m"), size: 1 }]);
    }

    #[test]
    fn layers_that_lie_elsewhere_are_not_needed() {
        let mut foreign = descriptor("l");
        foreign["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let image =
            |layer: &Value| json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": [layer] });
        assert_eq!(read(IMAGE, image(&foreign)).unwrap().len(), 2, "without a URL it is needed");
        foreign["urls"] = json!(["http://elsewhere.invalid/l"]);
        assert_eq!(read(IMAGE, image(&foreign)).unwrap().len(), 1);
    }

    #[test]
    fn other_documents_are_refused() {
        let image = |config: Value| json!({ "schemaVersion": 2, "config": config, "layers": [] });
        let mut sha512 = descriptor("c");
        sha512["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
        let mut negative = descriptor("c");
        negative["size"] = json!(-1);
        let many = vec![descriptor("l"); 3];
        for (media_type, document) in [
            ("application/json", image(descriptor("c"))),
            (INDEX, image(descriptor("c"))),
            (IMAGE, json!({ "schemaVersion": 1, "config": descriptor("c"), "layers": [] })),
            (
                IMAGE,
                json!({ "schemaVersion": 2, "mediaType": INDEX, "config": descriptor("c"), "layers": [] }),
            ),
            (IMAGE, json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": many })),
            (IMAGE, json!({ "schemaVersion": 2, "manifests": [] })),
            (IMAGE, image(sha512)),
            (IMAGE, image(negative)),
            (IMAGE, json!([])),
        ] {
            assert!(read(media_type, document.clone()).is_err(), "{media_type} {document}");
        }
    }
}
