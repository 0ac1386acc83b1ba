//! A published layer as it lies in a registry or beside a catalog: its manifest, and index and frame table by ranges.
//!
//! Nothing here is checked but shapes and bounds. The manifest is as trustworthy as the digest that its caller checked; index
//! and frame table are decoded and checked by the caller, against the identity and the hash that the manifest names.

use crate::catalog::Catalog;
use crate::http::TransferError;
use crate::pull;
use crate::registry::{Registry, digest_of};
use crate::spool::Spool;
use bytes::Bytes;
use oci_spec::image::ImageManifest;
use plyos_ids::{BlobDigest, LayerId, ManifestDigest};
use plyos_layer_format::annotations::{
    IndexPlace, LAYER_FRAMES, LAYER_ID, LAYER_INDEX, MAX_MANIFEST, MEDIA_TYPE_GZIP, MEDIA_TYPE_ZSTD,
    TablePlace,
};
use plyos_layer_format::frames::{Form, MAX_TABLE};
use plyos_plan::fetch::policy::SMALL_BLOB;
use std::sync::Arc;

/// Longest index that is fetched.
const MAX_INDEX: u64 = 1 << 30;

/// What the manifest of a layer says.
#[derive(Debug, Clone)]
pub struct LayerManifest {
    /// SHA-256 of the manifest's bytes.
    pub digest: ManifestDigest,
    /// The blob that holds frames, index and table.
    pub blob: BlobDigest,
    /// Its bytes.
    pub blob_len: u64,
    /// How its frames are coded.
    pub form: Form,
    /// The layer's identity.
    pub layer: LayerId,
    /// Where the index lies.
    pub index: IndexPlace,
    /// Where the frame table lies.
    pub table: TablePlace,
}

/// Why a layer was refused.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The bytes did not come.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The manifest is not one of ours.
    #[error("the manifest of {what} is refused: {why}")]
    Manifest {
        /// Which layer.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Where ranges of blobs come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An OCI registry.
    Registry(Registry),
    /// Beside a catalog's static files.
    Catalog(Catalog),
    /// Nowhere: everything of the layer is here already.
    Nowhere,
    /// The whole blob, which was small enough to be fetched at once.
    Held(Bytes),
    /// The whole blob, which came because its server knows no ranges.
    Spooled(Arc<Spool>),
}

impl Source {
    /// A range of a blob of `blob_len` bytes, with the patience of a large pull; not checked.
    pub async fn range(
        &self,
        blob: &BlobDigest,
        blob_len: u64,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, TransferError> {
        pull::read(self, blob, blob_len, offset, length).await.map(|(bytes, _)| bytes)
    }

    /// What it is called in messages.
    pub fn shown(&self) -> String {
        match self {
            Self::Registry(registry) => registry.place().to_string(),
            Self::Catalog(catalog) => catalog.url().to_owned(),
            Self::Held(_) => "memory".to_owned(),
            Self::Spooled(spool) => spool.shown().to_owned(),
            Self::Nowhere => "nowhere".to_owned(),
        }
    }

    /// Whether the whole blob is here already.
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Held(_) | Self::Spooled(_))
    }
}

impl LayerManifest {
    /// Reads a manifest; `what` names the layer in errors.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, LayerError> {
        let refuse = |why: String| LayerError::Manifest { what: what.to_owned(), why };
        if bytes.len() as u64 > MAX_MANIFEST {
            return Err(refuse("it is longer than 4 MiB".into()));
        }
        let manifest = ImageManifest::from_reader(bytes).map_err(|error| refuse(error.to_string()))?;
        let [layer] = manifest.layers().as_slice() else {
            return Err(refuse(format!(
                "it has {} layers, a Plyos layer's has one",
                manifest.layers().len()
            )));
        };
        let form = match layer.media_type().to_string().as_str() {
            MEDIA_TYPE_ZSTD => Form::Zstd,
            MEDIA_TYPE_GZIP => Form::Gzip,
            other => {
                let expected = format!("{MEDIA_TYPE_ZSTD} or {MEDIA_TYPE_GZIP}");
                return Err(refuse(format!("its layer is {other}, expected {expected}")));
            }
        };
        let annotation = |key: &str| {
            let found = layer.annotations().as_ref().and_then(|all| all.get(key));
            found.ok_or_else(|| refuse(format!("it has no annotation {key}; was it pushed by `plyos push`?")))
        };
        let blob = BlobDigest::parse(layer.digest().as_ref()).map_err(|error| refuse(error.to_string()))?;
        let layer_id = LayerId::parse(annotation(LAYER_ID)?).map_err(|error| refuse(error.to_string()))?;
        let index = IndexPlace::parse(annotation(LAYER_INDEX)?).map_err(|error| refuse(error.to_string()))?;
        let table =
            TablePlace::parse(annotation(LAYER_FRAMES)?).map_err(|error| refuse(error.to_string()))?;
        let inside =
            |offset: u64, stored: u64| offset.checked_add(stored).is_some_and(|end| end <= layer.size());
        if !inside(index.offset, index.stored) || !inside(table.offset, table.stored) {
            return Err(refuse("its index or frame table lies outside the blob".into()));
        }
        if index.length > MAX_INDEX || table.length > MAX_TABLE {
            return Err(refuse("its index or frame table is longer than 1 GiB".into()));
        }
        let (digest, blob_len) = (digest_of(bytes), layer.size());
        Ok(Self { digest, blob, blob_len, form, layer: layer_id, index, table })
    }

    /// A range of the blob; not checked.
    pub async fn range(&self, source: &Source, offset: u64, length: u64) -> Result<Bytes, TransferError> {
        source.range(&self.blob, self.blob_len, offset, length).await
    }

    /// Fetches the whole blob at once if it is small enough; then [`Source::Held`]. Not checked.
    pub async fn hold_if_small(&self, source: Source) -> Result<Source, TransferError> {
        if self.blob_len > SMALL_BLOB || source.is_held() {
            return Ok(source);
        }
        Ok(Source::Held(self.range(&source, 0, self.blob_len).await?))
    }

    /// Fetches the index as it is stored; a claim until it is decoded and checked against [`LayerManifest::layer`].
    pub async fn stored_index(&self, source: &Source) -> Result<Bytes, TransferError> {
        self.range(source, self.index.offset, self.index.stored).await
    }

    /// As [`LayerManifest::stored_index`], with where to read everything else from: where the server ignores ranges, the whole blob is
    /// here afterwards, unless it is too large to be kept.
    pub async fn stored_index_at(&self, source: Source) -> Result<(Bytes, Source), TransferError> {
        let IndexPlace { offset, stored, .. } = self.index;
        let (index, whole) = pull::read(&source, &self.blob, self.blob_len, offset, stored).await?;
        Ok((index, whole.map_or(source, |spool| Source::Spooled(Arc::new(spool)))))
    }

    /// Fetches the frame table as it is stored; a claim until it is decoded and checked against the hash of its place.
    pub async fn stored_table(&self, source: &Source) -> Result<Bytes, TransferError> {
        self.range(source, self.table.offset, self.table.stored).await
    }
}
