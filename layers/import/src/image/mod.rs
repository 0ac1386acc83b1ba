//! OCI images (and Docker's of the same shape): layers that stand on top of each other become one tree.
//!
//! Nothing is used before its digest was checked: manifest, config, each layer as it is stored, and what comes out of it
//! (its diff id, which the config names). [`blobs`] finds the bytes, [`choose`] the manifest, [`layer`] applies one layer.

mod blobs;
mod choose;
mod layer;

use std::fs::File;
use std::path::PathBuf;

use oci_spec::image::ImageManifest;
use serde_json::Value;

pub use self::blobs::Window;

use self::blobs::Blobs;
use crate::bounds::Meter;
use crate::error::{ImportError, Refusal};
use crate::facts::{Facts, Imported};
use crate::source::Request;
use crate::staging::Staging;

/// Longest index, manifest or config that is read. Registries have the same bound.
const MAX_JSON: u64 = 4 << 20;

/// An OCI image layout.
#[derive(Debug)]
pub struct Image {
    blobs: Blobs,
}

impl Image {
    /// A folder with `index.json` and `blobs/`.
    pub fn in_folder(folder: PathBuf) -> Result<Self, ImportError> {
        Ok(Self { blobs: Blobs::in_folder(folder) })
    }

    /// A tar of such a folder, not compressed. `what` is how errors name it.
    pub fn in_archive(file: File, what: &str) -> Result<Self, ImportError> {
        Ok(Self { blobs: Blobs::in_archive(file, what)? })
    }

    /// The manifest of an image, checked, and its layer as it is stored, which is not: nothing is unpacked. `None` when it has
    /// several layers.
    ///
    /// # Errors
    /// When the layout cannot be read, or which image is meant cannot be told.
    pub fn single_layer(
        &self,
        tag: Option<&str>,
        arch: &str,
    ) -> Result<Option<(Vec<u8>, Window)>, ImportError> {
        let bytes = choose::manifest(&self.blobs, tag, arch)?;
        let manifest = ImageManifest::from_reader(&bytes[..]).map_err(|error| {
            let text = format!("its manifest cannot be read ({error})");
            ImportError::archive(self.blobs.what(), Refusal::Content(text))
        })?;
        let [layer] = manifest.layers().as_slice() else { return Ok(None) };
        let (_, name) = self.blobs.name(layer)?;
        Ok(Some((bytes, self.blobs.window(&name)?)))
    }

    /// Squashes the layers of one image. `tag` may be left out where there is one image only.
    pub(crate) fn read(&self, tag: Option<&str>, request: &Request<'_>) -> Result<Imported, ImportError> {
        let what = self.blobs.what();
        let refused = |text: String| ImportError::archive(what, Refusal::Content(text));
        let manifest = choose::manifest(&self.blobs, tag, request.arch)?;
        let manifest = ImageManifest::from_reader(&manifest[..])
            .map_err(|error| refused(format!("its manifest cannot be read ({error})")))?;
        let config = self.blobs.json(manifest.config())?;
        let config: Value = serde_json::from_slice(&config)
            .map_err(|error| refused(format!("its config cannot be read ({error})")))?;
        let diff_ids: Vec<&str> = match config.pointer("/rootfs/diff_ids") {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let layers = manifest.layers();
        if diff_ids.len() != layers.len() {
            let (named, found) = (diff_ids.len(), layers.len());
            return Err(refused(format!("its config names {named} layers and its manifest {found}")));
        }
        let meter = Meter::new(request.limits);
        let mut staging = Staging::new(meter.clone())?;
        for (descriptor, diff_id) in layers.iter().zip(&diff_ids) {
            layer::apply(&self.blobs, descriptor, diff_id, &mut staging, request.limits, &meter)?;
        }
        let arch = config.get("architecture").and_then(Value::as_str).map(str::to_owned);
        let facts = Facts { arch, ..Facts::default() };
        let mut notes = Vec::new();
        if layers.len() > 1 {
            notes.push(format!("{} layers were squashed into one", layers.len()));
        }
        Ok(Imported { tree: staging.finish(request.rules)?, facts, notes })
    }
}
