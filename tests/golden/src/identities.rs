//! The identities of the golden objects: what hashing, and not only spelling, has to give.

use anyhow::Result;
use plyos_custody::Signer as _;
use plyos_layer_format::index::layer_id;
use plyos_layer_format::pages::PageHashes;

use crate::fixed::key;
use crate::{Again, Golden, blob, built, generation, image, layer};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[Golden {
    name: "identities.txt",
    section: "Numbers",
    what: "identities of layers, generation, layer set, manifest and keys, and the root of a list of page hashes",
    make,
    again: Again::Unread,
}];

fn make() -> Result<Vec<u8>> {
    let (paged, built) = (layer::paged()?.index, built::built(&mut std::io::sink())?);
    let generation = generation::full()?;
    let root = PageHashes::compute(&paged).root().map_or_else(String::new, |root| root.to_string());
    let mut out = String::new();
    let mut line = |name: &str, identity: String| out += &format!("{name}: {identity}\n");
    line("layer of layer-index.hex", layer_id(&layer::small()?.index).to_string());
    line("layer of layer-index-pages.hex", layer_id(&paged).to_string());
    line("merged page hashes of layer-index-pages.hex", root);
    line("layer of built-layer-index.hex", built.layer.to_string());
    line("diff_id of built-layer-index.hex", built.diff_sha256.to_string());
    line("layer in store.hex", layer_id(&image::site()?.index).to_string());
    line("digest of oci-manifest.json", blob::image()?.manifest_digest.to_string());
    line("generation.bin", generation.id().to_string());
    line("layer set of generation.bin", generation.layer_set().to_string());
    for seed in [1, 2, 3, 4, 5, 11, 12, 13] {
        line(&format!("key of seed {seed}"), key(seed)?.public().key_id().to_string());
    }
    Ok(out.into_bytes())
}
