//! What a manifest says to people: layers with their kinds and sizes, name, version, architecture.
//!
//! Pure. A manifest is whatever somebody pushed, so nothing is required of it but JSON: what is missing is left out, every
//! list is cut at a bound, every text goes through [`shown::text`].

use plyos_blobs::{Digest, MediaType};
use serde_json::{Map, Value};

use super::shown;

/// Most layers of a manifest, or manifests of an index, that are looked at.
pub(super) const MOST_PARTS: usize = 200;
/// Most annotations that are shown.
const MOST_ANNOTATIONS: usize = 40;

/// Something that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) digest: Digest,
    /// Its size, as the manifest states it.
    pub(super) size: u64,
    pub(super) media_type: String,
    /// `blake3:HEX` of a layer of ours.
    pub(super) layer_id: Option<String>,
    /// `linux/amd64`, of a manifest in an index.
    pub(super) platform: Option<String>,
    pub(super) title: Option<String>,
}

/// What a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Config and layers.
    Image,
    /// Config and layers of something else than a file tree.
    Artifact,
    /// Other manifests.
    Index,
    /// A document of another type.
    Other,
}

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) form: Form,
    pub(super) media_type: String,
    pub(super) config: Option<Part>,
    /// Layers, or the manifests of an index.
    pub(super) parts: Vec<Part>,
    /// Whether there are more than [`MOST_PARTS`].
    pub(super) more: bool,
    pub(super) artifact_type: Option<String>,
    pub(super) subject: Option<Digest>,
    /// As the publisher gave them, sorted by key.
    pub(super) annotations: Vec<(String, String)>,
    kind: Option<String>,
    name: Option<String>,
    version: Option<String>,
    arch: Option<String>,
}

impl Image {
    /// Reads a manifest.
    pub(super) fn parse(media_type: &MediaType, bytes: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let list = |member: &str| value.get(member).and_then(Value::as_array);
        let config = value.get("config").and_then(part);
        let artifact_type = string(&value, "artifactType");
        let (form, listed) = match (list("manifests"), list("layers")) {
            (Some(manifests), _) => (Form::Index, Some(manifests)),
            (None, Some(layers)) => {
                let tree = config.as_ref().is_some_and(|config| {
                    config.media_type.contains("image.config")
                        || config.media_type.contains("container.image")
                });
                (if tree { Form::Image } else { Form::Artifact }, Some(layers))
            }
            (None, None) => (Form::Other, None),
        };
        let annotations = value.get("annotations").and_then(Value::as_object);
        let said =
            |key: &str| annotations.and_then(|all| all.get(key)).and_then(Value::as_str).map(shown::text);
        Self {
            form,
            media_type: shown::text(media_type.as_str()),
            config,
            parts: listed.into_iter().flatten().take(MOST_PARTS).filter_map(part).collect(),
            more: listed.is_some_and(|listed| listed.len() > MOST_PARTS),
            artifact_type,
            subject: value.get("subject").and_then(digest),
            kind: said("org.plyos.kind"),
            name: said("org.opencontainers.image.title"),
            version: said("org.opencontainers.image.version"),
            arch: said("org.plyos.arch"),
            annotations: annotations.map(texts).unwrap_or_default(),
        }
    }

    /// One word for what it is: a Plyos kind, or what OCI knows.
    pub(super) fn kind(&self) -> String {
        let other = match self.form {
            Form::Image => "image",
            Form::Artifact => "artifact",
            Form::Index => "index",
            Form::Other => "other",
        };
        self.kind.clone().unwrap_or_else(|| other.to_owned())
    }

    /// Whether it says of itself that it is a layer of ours.
    pub(super) fn is_plyos(&self) -> bool {
        self.kind.is_some()
    }

    /// Name, version and architecture, as far as they are said.
    pub(super) fn title(&self) -> String {
        let said = [&self.name, &self.version, &self.arch].into_iter().flatten();
        let title = said.cloned().collect::<Vec<_>>().join(" ");
        match &self.artifact_type {
            Some(artifact_type) if title.is_empty() => artifact_type.clone(),
            _ => title,
        }
    }

    /// Config and layers, or the manifests of an index.
    pub(super) fn all_parts(&self) -> impl Iterator<Item = &Part> {
        self.config.iter().chain(&self.parts)
    }
}

fn part(value: &Value) -> Option<Part> {
    let annotation = |key: &str| value.get("annotations")?.get(key)?.as_str().map(shown::text);
    let platform = value.get("platform").map(|platform| {
        let said =
            ["os", "architecture", "variant"].into_iter().filter_map(|member| string(platform, member));
        said.collect::<Vec<_>>().join("/")
    });
    Some(Part {
        digest: digest(value)?,
        size: value.get("size").and_then(Value::as_u64).unwrap_or(0),
        media_type: string(value, "mediaType").unwrap_or_default(),
        layer_id: annotation("org.plyos.layer.id"),
        title: annotation("org.opencontainers.image.title"),
        platform,
    })
}

fn digest(value: &Value) -> Option<Digest> {
    value.get("digest")?.as_str()?.parse().ok()
}

fn string(value: &Value, member: &str) -> Option<String> {
    value.get(member).and_then(Value::as_str).map(shown::text)
}

fn texts(all: &Map<String, Value>) -> Vec<(String, String)> {
    let texts = all.iter().filter_map(|(key, value)| Some((shown::text(key), shown::text(value.as_str()?))));
    let mut texts: Vec<_> = texts.take(MOST_ANNOTATIONS).collect();
    texts.sort();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(document: &Value) -> Image {
        Image::parse(
            &"application/vnd.oci.image.manifest.v1+json".parse().unwrap(),
            document.to_string().as_bytes(),
        )
    }

    fn descriptor(size: u64) -> Value {
        json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": Digest::of(b"x").to_string(), "size": size })
    }

    #[test]
    fn a_layer_of_ours_says_its_name() {
        let image = read(&json!({
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(b"c").to_string(), "size": 2 },
            "layers": [descriptor(40)],
            "annotations": { "org.opencontainers.image.title": "docs", "org.opencontainers.image.version": "3",
                             "org.plyos.kind": "site", "org.plyos.arch": "any" },
        }));
        assert_eq!(
            (image.form, image.kind(), image.title()),
            (Form::Image, "site".into(), "docs 3 any".into())
        );
        assert_eq!(image.all_parts().map(|part| part.size).collect::<Vec<_>>(), [2, 40]);
    }

    #[test]
    fn anything_is_read_without_harm() {
        let many: Vec<_> = (0..300).map(descriptor).collect();
        let image = read(&json!({ "layers": many, "config": 7, "annotations": ["x"] }));
        assert_eq!((image.parts.len(), image.more, image.form), (MOST_PARTS, true, Form::Artifact));
        for document in [
            json!(null),
            json!([]),
            json!({ "layers": [{ "digest": "../../etc" }, 1, null] }),
            json!({ "manifests": {} }),
        ] {
            assert!(read(&document).parts.is_empty(), "{document}");
        }
        assert_eq!(Image::parse(&"a/b".parse().unwrap(), b"\xff{").form, Form::Other);
    }

    #[test]
    fn an_index_names_platforms() {
        let mut entry = descriptor(1);
        entry["platform"] = json!({ "os": "linux", "architecture": "arm\u{202e}64", "variant": "v8" });
        let index = read(&json!({ "manifests": [entry] }));
        assert_eq!((index.form, index.parts[0].platform.as_deref()), (Form::Index, Some("linux/arm64/v8")));
    }
}
