//! What the registry must know of a manifest: what kind of document it is, which blobs and manifests it names, and
//! what it says of itself where it refers to another one.
//!
//! Pure. The bytes are kept as they came; this is only read from them. Documents of types that are not known here
//! are kept too, but nobody can tell what they need, so nothing is looked up for them.

use std::collections::BTreeMap;

use plyos_blobs::{Digest, DigestError, MediaType};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::unambiguous;

/// A manifest that was read and is one.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// What it is served as.
    pub(crate) media_type: MediaType,
    /// Whether it says so itself, as every manifest should.
    pub(crate) names_its_type: bool,
    /// What it is made of, in its order.
    pub(crate) references: Vec<Reference>,
    /// The manifest that it is about.
    pub(crate) subject: Option<Digest>,
    artifact_type: Option<String>,
    annotations: BTreeMap<String, String>,
}

/// A thing that a manifest is made of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Where a reference is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Has to be here before the manifest.
    Blob,
    /// May be missing: an index may list more platforms than were copied ("sparse").
    Manifest,
}

/// Why a document is no manifest that can be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("give the manifest's type as Content-Type, and as its mediaType")]
    NoType,
    #[error("this is no manifest: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the document calls itself {inside}, the Content-Type calls it {outside}")]
    TypeDiffers { inside: String, outside: String },
    #[error("it has a field {0}, which a manifest of its type has not")]
    Confused(&'static str),
    #[error("schemaVersion is {0}, not 2")]
    Version(u32),
    #[error("a descriptor has no digest that is taken here: {0}")]
    Digest(#[from] DigestError),
    #[error("it has more than {0} descriptors")]
    TooMany(usize),
}

/// What every document is asked, of whatever type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    artifact_type: Option<String>,
    subject: Option<Subject>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Subject {
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    schema_version: u32,
    config: Descriptor,
    // Some writers give null for none.
    layers: Option<Vec<Descriptor>>,
    manifests: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    manifests: Option<Vec<Descriptor>>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    urls: Option<Vec<String>>,
}

impl Descriptor {
    /// Layers that may not be handed on lie at their own URLs and are never pushed.
    fn is_elsewhere(&self) -> bool {
        self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
            && (self.media_type.contains(".nondistributable.") || self.media_type.contains(".foreign."))
    }

    fn reference(self, kind: Kind) -> Result<Reference, DigestError> {
        Ok(Reference { kind, digest: self.digest.parse()?, size: self.size })
    }
}

/// What the documents of a type hold.
enum Shape {
    Image,
    Index,
    Unknown,
}

impl Shape {
    fn of(media_type: &MediaType) -> Self {
        match media_type.as_str() {
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Image,
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            _ => Self::Unknown,
        }
    }
}

impl Manifest {
    /// Reads a manifest that was sent as `content_type` and may name at most `most` things.
    pub(crate) fn read(
        content_type: Option<MediaType>,
        bytes: &[u8],
        most: usize,
    ) -> Result<Self, ManifestError> {
        unambiguous::check(bytes)?;
        let document: Document = serde_json::from_slice(bytes)?;
        let inside = document.media_type.filter(|inside| !inside.is_empty());
        let names_its_type = inside.is_some();
        let media_type = match (content_type, inside) {
            (Some(outside), Some(inside)) if inside != outside.as_str() => {
                return Err(ManifestError::TypeDiffers { inside, outside: outside.to_string() });
            }
            (Some(outside), _) => outside,
            (None, inside) => inside.and_then(|inside| inside.parse().ok()).ok_or(ManifestError::NoType)?,
        };

        let mut artifact_type = document.artifact_type.filter(|own| !own.is_empty());
        let references = match Shape::of(&media_type) {
            Shape::Image => {
                let image = Image::read(bytes)?;
                artifact_type = artifact_type.or_else(|| Some(image.config.media_type.clone()));
                image.references(most)?
            }
            Shape::Index => Index::read(bytes)?.references(most)?,
            Shape::Unknown => Vec::new(),
        };
        let subject = document.subject.map(|subject| subject.digest.parse()).transpose()?;
        let annotations = document.annotations.unwrap_or_default();
        Ok(Self { media_type, names_its_type, references, subject, artifact_type, annotations })
    }

    /// How a list of referrers shows this manifest ("Listing Referrers").
    pub(crate) fn descriptor(&self, digest: &Digest, size: usize) -> Value {
        let mut descriptor = Map::new();
        descriptor.insert("mediaType".to_owned(), self.media_type.as_str().into());
        descriptor.insert("digest".to_owned(), digest.to_string().into());
        descriptor.insert("size".to_owned(), size.into());
        if let Some(artifact_type) = &self.artifact_type {
            descriptor.insert("artifactType".to_owned(), artifact_type.as_str().into());
        }
        if !self.annotations.is_empty() {
            let annotations = self.annotations.iter().map(|(k, v)| (k.clone(), v.as_str().into()));
            descriptor.insert("annotations".to_owned(), Value::Object(annotations.collect()));
        }
        Value::Object(descriptor)
    }
}

impl Image {
    fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let image: Self = serde_json::from_slice(bytes)?;
        check_version(image.schema_version)?;
        refuse("manifests", image.manifests)?;
        refuse("fsLayers", image.fs_layers)?;
        Ok(image)
    }

    fn references(self, most: usize) -> Result<Vec<Reference>, ManifestError> {
        let layers = self.layers.unwrap_or_default();
        if layers.len() >= most {
            return Err(ManifestError::TooMany(most));
        }
        let all = std::iter::once(self.config).chain(layers);
        let here = all.filter(|descriptor| !descriptor.is_elsewhere());
        Ok(here.map(|descriptor| descriptor.reference(Kind::Blob)).collect::<Result<_, _>>()?)
    }
}

impl Index {
    fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let index: Self = serde_json::from_slice(bytes)?;
        check_version(index.schema_version)?;
        refuse("config", index.config)?;
        refuse("layers", index.layers)?;
        refuse("fsLayers", index.fs_layers)?;
        Ok(index)
    }

    fn references(self, most: usize) -> Result<Vec<Reference>, ManifestError> {
        let manifests = self.manifests.unwrap_or_default();
        if manifests.len() > most {
            return Err(ManifestError::TooMany(most));
        }
        let references = manifests.into_iter().map(|descriptor| descriptor.reference(Kind::Manifest));
        Ok(references.collect::<Result<_, _>>()?)
    }
}

fn check_version(version: u32) -> Result<(), ManifestError> {
    if version == 2 { Ok(()) } else { Err(ManifestError::Version(version)) }
}

/// One document must not be an image to one reader and an index to another (CVE-2021-41190).
fn refuse(field: &'static str, found: Option<IgnoredAny>) -> Result<(), ManifestError> {
    found.map_or(Ok(()), |_| Err(ManifestError::Confused(field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn descriptor(content: &str) -> Value {
        let digest = Digest::of(content.as_bytes()).to_string();
        json!({ "mediaType": "application/x", "digest": digest, "size": content.len() })
    }

    fn image() -> Value {
        json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": [descriptor("l")], "more": 1 })
    }

    fn with(mut document: Value, field: &str, value: Value) -> Value {
        document[field] = value;
        document
    }

    fn read(media_type: &str, document: &Value) -> Result<Manifest, ManifestError> {
        Manifest::read(Some(media_type.parse().unwrap()), document.to_string().as_bytes(), 3)
    }

    #[test]
    fn an_image_needs_its_config_and_layers() {
        let blob =
            |content: &str| Reference { kind: Kind::Blob, digest: Digest::of(content.as_bytes()), size: 1 };
        let manifest = read(IMAGE, &image()).unwrap();
        assert_eq!(manifest.references, [blob("c"), blob("l")]);
        assert!(!manifest.names_its_type);
        for none in [json!([]), json!(null)] {
            let manifest = read(IMAGE, &with(image(), "layers", none)).unwrap();
            assert_eq!(manifest.references, [blob("c")]);
        }
    }

    #[test]
    fn an_index_names_its_manifests() {
        let document = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor("m")] });
        let manifest = read(INDEX, &document).unwrap();
        assert!(manifest.names_its_type);
        let expected = Reference { kind: Kind::Manifest, digest: Digest::of(b"m"), size: 1 };
        assert_eq!(manifest.references, [expected]);
    }

    #[test]
    fn the_type_comes_from_outside_or_inside() {
        let read = |outside: Option<&str>, document: &Value| {
            let outside = outside.map(|outside| outside.parse().unwrap());
            Manifest::read(outside, document.to_string().as_bytes(), 3)
        };
        let typed = with(image(), "mediaType", json!(IMAGE));
        assert_eq!(read(None, &typed).unwrap().media_type.as_str(), IMAGE);
        assert!(matches!(read(None, &image()), Err(ManifestError::NoType)));
        assert!(matches!(read(Some(INDEX), &typed), Err(ManifestError::TypeDiffers { .. })));
        let strange = with(image(), "mediaType", json!("no type"));
        assert!(matches!(read(None, &strange), Err(ManifestError::NoType)));
    }

    #[test]
    fn unknown_types_are_taken_as_they_are() {
        for document in [
            json!({}),
            json!({ "config": "anything", "layers": 7, "manifests": { "x": [1] } }),
            json!({ "schemaVersion": 1, "fsLayers": [] }),
        ] {
            let manifest = read("application/vnd.example+json", &document).unwrap();
            assert_eq!(manifest.references, []);
        }
    }

    #[test]
    fn a_referrer_is_described_by_what_it_says() {
        let describe = |media_type: &str, document: &Value| {
            let manifest = read(media_type, document).unwrap();
            assert_eq!(manifest.subject, Some(Digest::of(b"s")));
            manifest.descriptor(&Digest::of(b"m"), 9)
        };
        let plain = |media_type: &str| json!({ "mediaType": media_type, "digest": Digest::of(b"m").to_string(), "size": 9 });
        let about = with(image(), "subject", descriptor("s"));
        let expected = with(plain(IMAGE), "artifactType", json!("application/x"));
        assert_eq!(describe(IMAGE, &about), expected, "the config's type stands in");
        assert_eq!(describe(IMAGE, &with(about.clone(), "artifactType", json!(""))), expected);

        let own = with(about, "artifactType", json!("application/own"));
        let own = with(own, "annotations", json!({ "a": "1", "b": "2" }));
        let expected = with(plain(IMAGE), "artifactType", json!("application/own"));
        assert_eq!(describe(IMAGE, &own), with(expected, "annotations", json!({ "a": "1", "b": "2" })));

        let index = json!({ "schemaVersion": 2, "manifests": [], "subject": descriptor("s") });
        assert_eq!(describe(INDEX, &index), plain(INDEX), "an index has no config that could stand in");
    }

    #[test]
    fn layers_that_lie_elsewhere_are_not_needed() {
        let mut foreign = descriptor("l");
        foreign["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let needed =
            |layer: &Value| read(IMAGE, &with(image(), "layers", json!([layer]))).unwrap().references;
        assert_eq!(needed(&foreign).len(), 2, "without a URL it is needed");
        foreign["urls"] = json!(["http://elsewhere.invalid/l"]);
        assert_eq!(needed(&foreign).len(), 1);
    }

    #[test]
    fn other_documents_are_refused() {
        let unregistered = with(descriptor("c"), "digest", json!(format!("blake3:{}", "0".repeat(64))));
        let short = with(descriptor("c"), "digest", json!("sha256:00"));
        let index = json!({ "schemaVersion": 2, "manifests": [] });
        for (media_type, document) in [
            (INDEX, image()),
            (IMAGE, index.clone()),
            (IMAGE, with(image(), "schemaVersion", json!(1))),
            (IMAGE, with(image(), "mediaType", json!(INDEX))),
            (IMAGE, with(image(), "manifests", json!([]))),
            (IMAGE, with(image(), "fsLayers", json!([]))),
            (IMAGE, with(image(), "layers", json!(vec![descriptor("l"); 3]))),
            (IMAGE, with(image(), "config", unregistered)),
            (IMAGE, with(image(), "config", with(descriptor("c"), "size", json!(-1)))),
            (IMAGE, with(image(), "subject", short)),
            (IMAGE, with(image(), "annotations", json!({ "a": 1 }))),
            (IMAGE, with(image(), "Layers", json!([]))),
            (INDEX, with(index.clone(), "layers", json!([]))),
            (INDEX, with(index.clone(), "config", descriptor("c"))),
            (INDEX, with(index, "manifests", json!(vec![descriptor("m"); 4]))),
            (IMAGE, json!([])),
            ("application/vnd.example+json", json!([])),
        ] {
            assert!(read(media_type, &document).is_err(), "{media_type} {document}");
        }
    }
}
