//! The active generation, mounted: its layers opened and each one's certificate checked.
//!
//! Every command that reads the namespace comes through [`mount`]; nothing of a layer is used before its certificate was
//! accepted by its repository's keyring and its index verified page by page.

use crate::admission::{self, Asked};
use crate::local;
use crate::repositories::{self, Repository};
use crate::settings::Settings;
use crate::target::{ONLY, Target, record};
use crate::trial::shown;
use plyos_ids::GenerationId;
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::index::Index;
use plyos_layer_format::pages::{PAGE_SIZE, PageHashes, PageSource};
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_plan::resolve::Installed;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Floors, RecordType};
use plyos_storefile::{MountedLayer, Store, StoreError, StoredLayer};
use plyos_trust::admission::TrustedKeyring;
use plyos_trust::tuf::{self, Envelope, Root};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pages of a stored layer's index.
#[derive(Debug)]
pub struct StoredPages<L = StoredLayer>(pub Arc<L>);

impl<L: AsRef<MountedLayer>> PageSource for StoredPages<L> {
    type Error = StoreError;

    fn read_page(&self, page: u32, out: &mut [u8; PAGE_SIZE]) -> Result<(), StoreError> {
        (*self.0).as_ref().read_page_into(page, out)
    }
}

/// The pages of a layer that is mounted.
pub type MountedPages = StoredPages<MountedLayer>;

/// An opened index of a layer that is mounted.
pub type MountedIndex = Index<MountedPages>;

/// A layer of a generation that is mounted; `S` is how its index is read.
pub struct ActiveLayer<S = MountedPages> {
    /// What the generation says of it.
    pub record: GenerationLayer,
    /// Places of its chunks.
    pub stored: Arc<MountedLayer>,
    /// Its tree.
    pub index: Index<S>,
}

/// A generation that is mounted, mostly the active one.
pub struct Active<S = MountedPages> {
    /// The manifest.
    pub generation: Generation,
    /// Its layers in the manifest's order.
    pub layers: Vec<ActiveLayer<S>>,
}

/// The generation that a slot or the history names.
pub fn generation(store: &Store, id: &GenerationId) -> Result<Generation, Failure> {
    let bytes = record(store, RecordType::Generation, id.as_bytes())?.ok_or_else(|| {
        Failure::new(ExitCode::Store, format!("generation {id} is not in the store any more"))
    })?;
    let generation =
        Generation::parse(&bytes).or_fail(ExitCode::Store, format_args!("reading generation {id}"))?;
    if generation.id() == *id {
        Ok(generation)
    } else {
        Err(Failure::new(ExitCode::Signature, format!("the record of generation {id} is another generation")))
    }
}

/// The active generation's manifest, if one is active.
pub fn active_generation(store: &Store) -> Result<Option<Generation>, Failure> {
    match store.slots().active() {
        Some(slot) => generation(store, &slot.generation).map(Some),
        None => Ok(None),
    }
}

/// Mounts the generation that is shown: the active one, or the one on trial.
pub fn mount(target: &Target, store: &Store) -> Result<Active, Failure> {
    let slot = shown(store).ok_or_else(|| {
        Failure::new(
            ExitCode::NotFound,
            "nothing is installed yet; `pkg install NAME` makes the first generation",
        )
    })?;
    mount_generation(target, store, generation(store, &slot.generation)?)
}

/// Mounts a generation.
pub fn mount_generation(target: &Target, store: &Store, generation: Generation) -> Result<Active, Failure> {
    mount_with(target, store, generation, StoredPages)
}

/// Mounts a generation whose index pages are read through what `pages` makes of each layer.
pub fn mount_with<S: PageSource>(
    target: &Target,
    store: &Store,
    generation: Generation,
    pages: impl Fn(Arc<MountedLayer>) -> S,
) -> Result<Active<S>, Failure> {
    let mut gate = Gate::new(store)?;
    let mut layers = Vec::new();
    for listed in &generation.layers {
        let (stored, index) = open_with(target, store, listed, &pages)?;
        gate.admit(store, listed, index.descriptor())?;
        layers.push(ActiveLayer { record: listed.clone(), stored, index });
    }
    Ok(Active { generation, layers })
}

/// Opens a stored layer and checks that it is what the generation says.
pub fn open_layer(
    target: &Target,
    store: &Store,
    listed: &GenerationLayer,
) -> Result<(Arc<MountedLayer>, MountedIndex), Failure> {
    open_with(target, store, listed, &StoredPages)
}

fn open_with<S: PageSource>(
    target: &Target,
    store: &Store,
    listed: &GenerationLayer,
    pages: &impl Fn(Arc<MountedLayer>) -> S,
) -> Result<(Arc<MountedLayer>, Index<S>), Failure> {
    let stored = store.mounted_layer(&listed.id).map_err(|error| target.fail(&error))?.ok_or_else(|| {
        Failure::new(
            ExitCode::Store,
            format!("{} {} is not in the store; install it again", listed.name, listed.version),
        )
    })?;
    let stored = Arc::new(stored);
    let hashes = page_hashes(&stored)?;
    let doing = format!("opening {} {}", listed.name, listed.version);
    let index =
        Index::open(listed.id, hashes, pages(Arc::clone(&stored))).or_fail(ExitCode::Store, &doing)?;
    listed.agrees_with(index.descriptor()).or_fail(ExitCode::Signature, &doing)?;
    Ok((stored, index))
}

/// The page hashes of a stored index; a claim until they merge to its identity.
pub fn page_hashes(stored: &MountedLayer) -> Result<PageHashes, Failure> {
    let pages = u32::try_from(stored.index_len.div_ceil(PAGE_SIZE as u64)).unwrap_or(u32::MAX);
    PageHashes::from_list(stored.page_hashes().to_vec(), pages)
        .or_fail(ExitCode::Store, format_args!("opening layer {}", stored.id))
}

/// Checks certificates of layers with the keyrings in the store.
struct Gate {
    repositories: Vec<Repository>,
    keyrings: BTreeMap<String, TrustedKeyring<Vec<u8>>>,
    floors: Floors,
}

impl Gate {
    fn new(store: &Store) -> Result<Self, Failure> {
        Ok(Self {
            repositories: repositories::list(store)?,
            keyrings: BTreeMap::new(),
            floors: floors(store)?,
        })
    }

    fn admit(
        &mut self,
        store: &Store,
        layer: &GenerationLayer,
        descriptor: &Descriptor,
    ) -> Result<(), Failure> {
        let doing = format!("{} {} is refused", layer.name, layer.version);
        if layer.unsigned {
            // The operator answered for it when it was installed. Loader and kernel know no such layers, and nor does `pkg`
            // where it runs on that kernel.
            if cfg!(not(target_os = "linux")) {
                let line = format!("{doing}: it is unsigned, which is allowed on Linux only");
                return Err(Failure::new(ExitCode::Signature, line));
            }
            let what = format!("{} {}", layer.name, layer.version);
            return local::check_floor(&what, self.floors.get(layer.kind, &layer.name));
        }
        let missing = |what: &str| Failure::new(ExitCode::Signature, format!("{doing}: {what}"));
        let bytes = record(store, RecordType::Certificate, layer.id.as_bytes())?
            .ok_or_else(|| missing("it has no certificate in the store"))?;
        let floor = self.floors.get(layer.kind, &layer.name);
        let keyring = self.keyring(store, &layer.repo)?;
        let asked = Asked { doing: &doing, keyring, certificate: &bytes, layer: layer.id, descriptor, floor };
        admission::admit(&asked).map(|_| ())
    }

    fn keyring(&mut self, store: &Store, name: &str) -> Result<&TrustedKeyring<Vec<u8>>, Failure> {
        if !self.keyrings.contains_key(name) {
            let verified = self.load_keyring(store, name)?;
            self.keyrings.insert(name.to_owned(), verified);
        }
        self.keyrings
            .get(name)
            .ok_or_else(|| Failure::new(ExitCode::Failure, "a keyring was lost; this is a defect of pkg"))
    }

    fn load_keyring(&self, store: &Store, name: &str) -> Result<TrustedKeyring<Vec<u8>>, Failure> {
        let doing = format!("the keyring of '{name}' is refused");
        let gone =
            |what: &str| Failure::new(ExitCode::Signature, format!("{doing}: {what}; run `pkg update`"));
        let repository = self
            .repositories
            .iter()
            .find(|repository| repository.name == name)
            .ok_or_else(|| gone("its repository is not known"))?;
        let root =
            repositories::kept(store, repository, tuf::ROOT)?.ok_or_else(|| gone("its root is missing"))?;
        let envelope = Envelope::parse(tuf::ROOT, &root).or_fail(ExitCode::Signature, &doing)?;
        let root = Root::parse(&envelope).or_fail(ExitCode::Signature, &doing)?;
        let bytes =
            record(store, RecordType::Keyring, &repository.key())?.ok_or_else(|| gone("it is missing"))?;
        admission::keyring(&doing, bytes, root.root())
    }
}

/// The least security epochs accepted here.
pub fn floors(store: &Store) -> Result<Floors, Failure> {
    match record(store, RecordType::Floors, &ONLY)? {
        Some(bytes) => Floors::parse(&bytes).or_fail(ExitCode::Store, "reading the floors"),
        None => Ok(Floors::default()),
    }
}

/// The layers of the active generation as a plan sees them.
pub fn installed(target: &Target, store: &Store) -> Result<Vec<Installed>, Failure> {
    let Some(generation) = active_generation(store)? else { return Ok(Vec::new()) };
    let holds = Settings::load(store)?.holds;
    let mut found = Vec::new();
    for layer in &generation.layers {
        let (_, index) = open_layer(target, store, layer)?;
        found.push(Installed {
            facts: crate::catalogs::facts(index.descriptor(), layer.id),
            asked: layer.asked,
            held: holds.contains(&format!("{}/{}", layer.kind, layer.name)),
        });
    }
    Ok(found)
}
