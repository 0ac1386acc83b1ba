//! A pushed layer as the commands see it: its manifest, index and descriptor, fetched and checked.

use plyos_layer_build::reader;
use plyos_layer_format::frames::FrameTable;
use plyos_layer_format::index::{self, Index};
use plyos_layer_format::pages::SlicePages;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_transfer::layer::{LayerManifest, Source};
use plyos_transfer::registry::Registry;
use plyos_transfer::{Http, Reference};

/// A layer in a registry.
pub struct Remote {
    /// Exact bytes of the manifest.
    pub manifest_bytes: Vec<u8>,
    /// What it says.
    pub manifest: LayerManifest,
    /// Where its blob lies.
    pub source: Source,
    /// The index, checked against the layer's identity.
    pub index: Vec<u8>,
    /// What it is called in messages.
    pub what: String,
}

impl Remote {
    /// Fetches manifest and index.
    pub async fn fetch(http: Http, place: Reference) -> Result<Self, Failure> {
        Self::of(Registry::new(http, place)).await
    }

    /// The layer that a registry was made for.
    pub async fn of(registry: Registry) -> Result<Self, Failure> {
        let what = registry.place().to_string();
        let manifest_bytes = registry.manifest().await?.to_vec();
        let manifest = LayerManifest::parse(&manifest_bytes, &what)?;
        let source = Source::Registry(registry);
        let stored = manifest.stored_index(&source).await?;
        let index = reader::decode_index(&manifest.index, &stored, &manifest.layer)
            .or_fail(ExitCode::Signature, format_args!("the index of {what} is refused"))?;
        Ok(Self { manifest_bytes, manifest, source, index, what })
    }

    /// Fetches the frame table, checked.
    pub async fn table(&self, chunks: u64) -> Result<FrameTable, Failure> {
        let stored = self.manifest.stored_table(&self.source).await?;
        reader::decode_table(&self.manifest.table, &stored, &self.manifest.layer, chunks)
            .or_fail(ExitCode::Signature, format_args!("the frame table of {} is refused", self.what))
    }

    /// The index after a full check of every rule.
    pub fn checked(&self) -> Result<Index<SlicePages<'_>>, Failure> {
        index::check(&self.index, &index::Limits::default())
            .or_fail(ExitCode::Signature, format_args!("the index of {} is refused", self.what))
    }
}
