//! A layer that is about to be installed: its manifest and index, fetched and checked against everything that is known
//! of it, before a byte of its content is fetched.

use crate::admission::{self, Asked};
use crate::catalogs::{Offer, Offers, Trusted};
use crate::local::LocalLayer;
use crate::target::Target;
use plyos_blockstore::LayerState;
use plyos_layer_build::reader;
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::frames::FrameTable;
use plyos_layer_format::index::{self, Index};
use plyos_layer_format::pages::{PageHashes, SlicePages};
use plyos_namespace::layer::LayerInfo;
use plyos_namespace::rules::{self, Breach, CheckError};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Floors, LayerEntry, RecordType, Store};
use plyos_transfer::layer::{LayerManifest, Source};
use plyos_transfer::registry::Registry;
use plyos_transfer::{Http, Reference, TransferError, catalog};

/// A checked candidate.
pub struct Candidate {
    /// Number of its offer.
    pub offer: usize,
    /// `NAME VERSION`, for messages.
    pub what: String,
    /// Exact bytes of the manifest.
    pub manifest_bytes: Vec<u8>,
    /// What it says.
    pub manifest: LayerManifest,
    /// Where its blob lies.
    pub source: Source,
    /// The index, every rule checked.
    pub index: Vec<u8>,
    /// Security epoch of its certificate.
    pub epoch: u32,
    /// Bytes fetched so far.
    pub moved: u64,
}

/// The ordinary registry in which a catalog says that a blob lies. Plain HTTP only within this machine, as everywhere.
pub fn registry(http: &Http, named: &str, doing: &str) -> Result<Registry, Failure> {
    let place = Reference::parse(named).or_fail(ExitCode::Signature, doing)?;
    Ok(Registry::new(http.clone(), place))
}

/// An offer that this machine may use, by what the catalog says of it.
struct Admissible<'a> {
    offer: &'a Offer,
    trusted: &'a Trusted,
    what: String,
    doing: String,
    epoch: u32,
}

impl<'a> Admissible<'a> {
    /// Before a byte of the layer is fetched; [`Candidate::check`] refuses it where its own index says otherwise.
    fn of(offers: &'a Offers, number: usize, floors: &Floors) -> Result<Self, Failure> {
        let offer = offers.all.get(number).ok_or_else(|| {
            Failure::new(ExitCode::Failure, "a plan names no offer; this is a defect of pkg")
        })?;
        let trusted = offers.repository(offer)?;
        let what = format!("{} {}", offer.descriptor.name(), offer.descriptor.version());
        let doing = format!("{what} is refused");
        let root = trusted.catalog.root.root();
        let keyring = admission::keyring(&doing, trusted.keyring.as_bytes(), root)?;
        let admitted = admission::admit(&Asked {
            doing: &doing,
            keyring: &keyring,
            certificate: &offer.custom.certificate.emit(),
            layer: offer.custom.layer,
            descriptor: &offer.descriptor,
            floor: floors.get(offer.descriptor.kind(), offer.descriptor.name()),
        })?;
        Ok(Self { offer, trusted, what, doing, epoch: admitted.epoch })
    }
}

impl Candidate {
    /// The candidate of an offer whose layer the store has whole, with its manifest: nothing is fetched for it.
    pub fn kept(
        store: &Store,
        offers: &Offers,
        number: usize,
        floors: &Floors,
    ) -> Result<Option<Self>, Failure> {
        let Admissible { offer, what, epoch, .. } = Admissible::of(offers, number, floors)?;
        let digest = offer.file.manifest();
        // What is damaged is fetched again, where there is a network.
        let Ok(Some(manifest_bytes)) = store.record(RecordType::Manifest, digest.as_bytes()) else {
            return Ok(None);
        };
        let is_whole =
            |entry: &&LayerEntry| entry.id == offer.custom.layer && entry.state == LayerState::Complete;
        let Some(index) =
            store.layers().find(is_whole).cloned().and_then(|entry| store.read_index(&entry).ok())
        else {
            return Ok(None);
        };
        if offer.file.check(&offer.target, &manifest_bytes).is_err() {
            return Ok(None);
        }
        let manifest = LayerManifest::parse(&manifest_bytes, &what)?;
        let source = Source::Nowhere;
        let candidate =
            Self { offer: number, what, manifest_bytes, manifest, source, index, epoch, moved: 0 };
        candidate.check(&offer.descriptor)?;
        Ok(Some(candidate))
    }

    /// The candidate of an offer whose layer lies in a local file: the catalog vouches for it. `None` where the file's manifest
    /// is not the one that the catalog names, because another tool wrote it anew.
    pub fn local(
        offers: &Offers,
        number: usize,
        floors: &Floors,
        local: &LocalLayer,
    ) -> Result<Option<Self>, Failure> {
        let admissible = Admissible::of(offers, number, floors)?;
        let is_it = admissible.offer.file.manifest() == local.manifest.digest;
        if is_it { local.candidate(number, admissible.epoch).map(Some) } else { Ok(None) }
    }

    /// Fetches manifest and index of an offer and checks them.
    pub async fn fetch(
        target: &Target,
        store: &Store,
        offers: &Offers,
        number: usize,
        floors: &Floors,
    ) -> Result<Self, Failure> {
        let Admissible { offer, trusted, what, doing, epoch } = Admissible::of(offers, number, floors)?;
        let http = target.client(store, &trusted.repository)?;
        let remote = catalog::Catalog::new(http.clone(), &trusted.repository.url)?;
        let path = trusted.catalog.path_of(&offer.target, &offer.file);
        let manifest_bytes = remote
            .get(&path, offer.file.length)
            .await
            .map_err(|error| match error {
                TransferError::Length { .. } => Failure::new(ExitCode::Signature, error.to_string()),
                other => other.into(),
            })?
            .ok_or_else(|| TransferError::NotFound {
                what: format!("fetching {path} from {}", remote.url()),
            })?;
        offer.file.check(&offer.target, &manifest_bytes).or_fail(ExitCode::Signature, &doing)?;
        let manifest = LayerManifest::parse(&manifest_bytes, &what)?;
        if manifest.layer != offer.custom.layer {
            let line = format!("{doing}: its manifest names another layer than the catalog");
            return Err(Failure::new(ExitCode::Signature, line));
        }
        let source = match &offer.custom.registry {
            Some(named) => Source::Registry(registry(&http, named, &doing)?),
            None => Source::Catalog(remote),
        };
        let source = manifest.hold_if_small(source).await?;
        let (stored, source) = manifest.stored_index_at(source).await?;
        let index = reader::decode_index(&manifest.index, &stored, &manifest.layer)
            .or_fail(ExitCode::Signature, format_args!("{doing}: reading its index"))?;
        let fetched = if source.is_held() { manifest.blob_len } else { manifest.index.stored };
        let moved = manifest_bytes.len() as u64 + fetched;
        let candidate = Self {
            offer: number,
            what,
            manifest_bytes: manifest_bytes.to_vec(),
            manifest,
            source,
            index,
            epoch,
            moved,
        };
        candidate.check(&offer.descriptor)?;
        Ok(candidate)
    }

    /// Every rule of the index, the descriptor against the catalog, and what the kind may hold and where.
    pub fn check(&self, said: &Descriptor) -> Result<(), Failure> {
        let doing = format!("{} is refused", self.what);
        let checked =
            index::check(&self.index, &index::Limits::default()).or_fail(ExitCode::Signature, &doing)?;
        if checked.descriptor() != said {
            let line = format!("{doing}: its own descriptor differs from what the catalog says of it");
            return Err(Failure::new(ExitCode::Signature, line));
        }
        let mount = LayerInfo::of(checked.descriptor()).mount.mount_type;
        rules::check_entries(mount, checked.entries()).map_err(|error| {
            let code = match &error {
                CheckError::Rule(violation) if violation.breach == Breach::Place => ExitCode::Conflict,
                CheckError::Rule(_) | CheckError::Read(_) => ExitCode::Signature,
            };
            Failure::new(code, format!("{doing}: {error}"))
        })
    }

    /// The index, opened.
    pub fn open(&self) -> Result<Index<SlicePages<'_>>, Failure> {
        Index::open(self.manifest.layer, PageHashes::compute(&self.index), SlicePages(&self.index))
            .or_fail(ExitCode::Signature, format_args!("{} is refused", self.what))
    }

    /// Counts bytes that came, unless they were counted when the whole blob came.
    pub const fn count(&mut self, bytes: u64) {
        if !self.source.is_held() {
            self.moved += bytes;
        }
    }

    /// Fetches the frame table, checked.
    pub async fn fetch_table(&mut self) -> Result<FrameTable, Failure> {
        let chunks = self.open()?.header().chunk_count;
        let stored = self.manifest.stored_table(&self.source).await?;
        self.count(self.manifest.table.stored);
        reader::decode_table(&self.manifest.table, &stored, &self.manifest.layer, chunks)
            .or_fail(ExitCode::Signature, format_args!("{} is refused: reading its frame table", self.what))
    }
}
