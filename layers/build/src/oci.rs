//! Image config and manifest of a layer (OCI image specification 1.1): what registries and container tools know it by.
//!
//! Both are written with a fixed order of members and without times, so the same layer blob has the same manifest digest
//! whoever pushes it.

use std::collections::BTreeMap;

use plyos_ids::{BlobDigest, ManifestDigest};
use plyos_layer_format::annotations::{
    ARCH, KIND, LAYER_FRAMES, LAYER_ID, LAYER_INDEX, MEDIA_TYPE_GZIP, MEDIA_TYPE_ZSTD, TITLE, VERSION,
};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::frames::Form;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::build::Built;

/// Media type of the manifest.
pub const MEDIA_TYPE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the image config.
pub const MEDIA_TYPE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What container tools are told for layers of architecture `any`: they ask for one.
const ARCH_OF_ANY: &str = "amd64";

/// An image of one layer, beside the layer's blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image config (JSON), a blob of its own.
    pub config: Vec<u8>,
    /// SHA-256 of the config.
    pub config_digest: BlobDigest,
    /// The image manifest (JSON).
    pub manifest: Vec<u8>,
    /// SHA-256 of the manifest.
    pub manifest_digest: ManifestDigest,
}

/// Makes config and manifest of a layer that was built with `descriptor`.
pub fn image(built: &Built, descriptor: &Descriptor) -> Result<Image, serde_json::Error> {
    let architecture = match descriptor.arch() {
        "any" => ARCH_OF_ANY,
        arch => arch,
    };
    let rootfs = RootFs { kind: "layers", diff_ids: [built.diff_sha256.to_string()] };
    let config = serde_json::to_vec(&Config { architecture, os: "linux", rootfs })?;
    let config_digest = BlobDigest::from_bytes(Sha256::digest(&config).into());
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: MEDIA_TYPE_MANIFEST,
        config: BlobDescriptor {
            media_type: MEDIA_TYPE_CONFIG,
            digest: config_digest.to_string(),
            size: config.len() as u64,
            annotations: BTreeMap::new(),
        },
        layers: [BlobDescriptor {
            media_type: match built.form {
                Form::Zstd => MEDIA_TYPE_ZSTD,
                Form::Gzip => MEDIA_TYPE_GZIP,
            },
            digest: built.blob_sha256.to_string(),
            size: built.blob_len,
            annotations: BTreeMap::from([
                (LAYER_ID, built.layer.to_string()),
                (LAYER_INDEX, built.index_place.to_string()),
                (LAYER_FRAMES, built.table_place.to_string()),
            ]),
        }],
        annotations: BTreeMap::from([
            (TITLE, descriptor.name().to_owned()),
            (VERSION, descriptor.version().to_owned()),
            (KIND, descriptor.kind().to_string()),
            (ARCH, descriptor.arch().to_owned()),
        ]),
    })?;
    let manifest_digest = ManifestDigest::from_bytes(Sha256::digest(&manifest).into());
    Ok(Image { config, config_digest, manifest, manifest_digest })
}

#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    os: &'a str,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    diff_ids: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: BlobDescriptor<'a>,
    layers: [BlobDescriptor<'a>; 1],
    annotations: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobDescriptor<'a> {
    media_type: &'a str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, String>,
}

#[cfg(test)]
mod tests {
    use plyos_ids::{Codec, Kind, LayerId, ObjectHash};
    use plyos_layer_format::annotations::{IndexPlace, TablePlace};

    use super::*;

    fn built() -> Built {
        let codec = Codec::Zstd;
        Built {
            layer: LayerId::from_bytes([1; 32]),
            index: Vec::new(),
            index_place: IndexPlace { offset: 10, stored: 20, length: 16384, codec },
            table_place: TablePlace {
                offset: 38,
                stored: 40,
                length: 100,
                codec,
                hash: ObjectHash::from_bytes([2; 32]),
            },
            blob_len: 270,
            form: Form::Zstd,
            blob_sha256: BlobDigest::from_bytes([3; 32]),
            diff_sha256: BlobDigest::from_bytes([4; 32]),
            stream_len: 2048,
            chunks: 1,
            entries: 1,
            content_len: 0,
            stale_pyc: 0,
        }
    }

    /// Pins both documents byte by byte: another spelling would give every layer another manifest digest.
    #[test]
    fn documents_have_one_spelling() {
        let descriptor = Descriptor::new(Kind::Site, "docs", "3", "any").unwrap();
        let image = image(&built(), &descriptor).unwrap();
        let of = |digit: &str| digit.repeat(32);
        assert_eq!(
            String::from_utf8(image.config.clone()).unwrap(),
            format!(
                r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
                of("04")
            )
        );
        let expected = [
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#.to_owned(),
            r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","#.to_owned(),
            format!(r#""digest":"{}","size":{}}},"#, image.config_digest, image.config.len()),
            r#""layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","#.to_owned(),
            format!(r#""digest":"sha256:{}","size":270,"annotations":{{"#, of("03")),
            format!(
                r#""org.plyos.layer.frames":"offset=38,stored=40,length=100,codec=1,blake3={}","#,
                of("02")
            ),
            format!(r#""org.plyos.layer.id":"blake3:{}","#, of("01")),
            r#""org.plyos.layer.index":"offset=10,stored=20,length=16384,codec=1"}}],"#.to_owned(),
            r#""annotations":{"org.opencontainers.image.title":"docs","#.to_owned(),
            r#""org.opencontainers.image.version":"3","org.plyos.arch":"any","org.plyos.kind":"site"}}"#
                .to_owned(),
        ]
        .concat();
        assert_eq!(String::from_utf8(image.manifest).unwrap(), expected);
    }

    #[test]
    fn the_gzip_form_has_its_media_type() {
        let descriptor = Descriptor::new(Kind::Site, "docs", "3", "any").unwrap();
        let image = image(&Built { form: Form::Gzip, ..built() }, &descriptor).unwrap();
        let text = String::from_utf8(image.manifest).unwrap();
        assert!(text.contains("layer.v1.tar+gzip") && !text.contains("tar+zstd"), "{text}");
    }

    #[test]
    fn other_architectures_are_passed_on() {
        let descriptor = Descriptor::new(Kind::Base, "b", "1", "riscv64").unwrap();
        let image = image(&built(), &descriptor).unwrap();
        assert!(image.config.starts_with(br#"{"architecture":"riscv64","#));
    }
}
