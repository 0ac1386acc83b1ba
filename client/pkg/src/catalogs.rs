//! What the repositories offer, verified again each time it is used: signatures, versions, expiry, keyring.

use crate::repositories::{self, Repository, State};
use crate::target::{Target, record};
use plyos_ids::{Kind, LayerId};
use plyos_layer_format::descriptor::Descriptor;
use plyos_plan::dependency::Dependency;
use plyos_plan::resolve::{Facts, NoPlan, split_name};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::RecordType;
use plyos_storefile::Store;
use plyos_trust::custom::LayerCustom;
use plyos_trust::keyring::{self, Keyring, VerifiedKeyring};
use plyos_trust::tuf::{self, Catalog, TargetFile, TargetName};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the target that is the keyring.
pub const KEYRING: &str = "keyring";

/// A repository with its verified catalog and keyring.
#[derive(Debug)]
pub struct Trusted {
    /// As it was added.
    pub repository: Repository,
    /// What it offers.
    pub catalog: Catalog,
    /// Who may sign layers.
    pub keyring: VerifiedKeyring,
}

/// One layer on offer.
#[derive(Debug)]
pub struct Offer {
    /// Number of its repository.
    pub repository: usize,
    /// Name of the target.
    pub target: TargetName,
    /// The manifest's length and hash.
    pub file: TargetFile,
    /// What the catalog says of the layer.
    pub custom: LayerCustom,
    /// The descriptor that the catalog repeats.
    pub descriptor: Descriptor,
}

impl Offer {
    fn key(&self) -> (Kind, String) {
        (self.descriptor.kind(), self.descriptor.name().to_owned())
    }

    fn is_for_this_machine(&self) -> bool {
        ["any", plyos_plan::machine_arch(std::env::consts::ARCH)].contains(&self.descriptor.arch())
    }
}

/// All offers of all repositories.
#[derive(Debug)]
pub struct Offers {
    /// The repositories, by name.
    pub repositories: Vec<Trusted>,
    /// The offers.
    pub all: Vec<Offer>,
    /// The same as a plan sees them, in the same order.
    pub facts: Vec<Facts>,
    /// Entries that this program cannot read, and why.
    unreadable: Vec<(TargetName, Failure)>,
    /// Offers under names that a repository of a greater priority has, with the numbers of their repositories.
    beaten: Vec<Offer>,
    /// Repositories that cannot be trusted now.
    aside: Vec<Aside>,
}

/// A repository whose catalog has expired, or was never fetched. It does not stand in the way of the others, nor do its names fall to
/// one that was put below it.
#[derive(Debug)]
struct Aside {
    failure: Failure,
    priority: i64,
    /// What it offered when it was trusted last.
    names: BTreeSet<(Kind, String)>,
}

impl Offers {
    /// Verifies what the last update left.
    pub fn load(target: &Target, store: &Store) -> Result<Self, Failure> {
        let now = target.now(store);
        let mut offers = Self::none();
        let known = repositories::list(store)?;
        for repository in known.into_iter().filter(|repository| repository.state == State::Enabled) {
            match trusted(store, repository.clone(), now) {
                Ok(trusted) => offers.repositories.push(trusted),
                Err(failure) => offers.aside.push(aside(store, &repository, failure)?),
            }
        }
        if offers.repositories.is_empty() {
            let line = "no repository is known that is enabled; add one with `pkg repo add URL --root FILE`";
            let nothing = || Failure::new(ExitCode::NotFound, line);
            return Err(offers.aside.first().map_or_else(nothing, |aside| aside.failure.clone()));
        }
        for aside in &offers.aside {
            target.progress.warn(&format!("{}; what it offers is left aside", aside.failure));
        }
        let repositories = std::mem::take(&mut offers.repositories);
        for (number, trusted) in repositories.iter().enumerate() {
            offers_of(number, &trusted.repository, &trusted.catalog, &mut offers);
        }
        offers.repositories = repositories;
        offers.apply_priorities();
        offers.facts = offers.all.iter().map(|offer| facts(&offer.descriptor, offer.custom.layer)).collect();
        for (_, failure) in &offers.unreadable {
            target.progress.detail(&failure.message);
        }
        Ok(offers)
    }

    /// The same, which may be nothing where no repository is known.
    pub fn load_any(target: &Target, store: &Store) -> Result<Self, Failure> {
        let known = repositories::list(store)?;
        if known.iter().any(|repository| repository.state == State::Enabled) {
            return Self::load(target, store);
        }
        Ok(Self::none())
    }

    fn none() -> Self {
        let (repositories, all, facts) = (Vec::new(), Vec::new(), Vec::new());
        Self { repositories, all, facts, unreadable: Vec::new(), beaten: Vec::new(), aside: Vec::new() }
    }

    /// Whether every repository that is enabled can be trusted now.
    pub const fn are_whole(&self) -> bool {
        self.aside.is_empty()
    }

    /// Repository and version of offers of a kind and name that do not count, because a repository of a greater priority has that name.
    pub fn beaten(&self, kind: Kind, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let same = move |offer: &&Offer| (offer.descriptor.kind(), offer.descriptor.name()) == (kind, name);
        self.beaten.iter().filter(same).filter_map(|offer| {
            Some((self.repository(offer).ok()?.repository.name.as_str(), offer.descriptor.version()))
        })
    }

    /// Of a kind and name that several repositories offer for this machine, only what those of the greatest priority offer
    /// stays: who puts one repository above another does not want its names taken over by the other, however new.
    fn apply_priorities(&mut self) {
        let Self { repositories, all, aside, beaten: out, .. } = self;
        if repositories.len() + aside.len() < 2 {
            return;
        }
        let priority =
            |offer: &Offer| repositories.get(offer.repository).map_or(0, |r| r.repository.priority);
        let mut greatest: BTreeMap<(Kind, String), i64> = BTreeMap::new();
        let there = all.iter().filter(|offer| offer.is_for_this_machine());
        let there = there.map(|offer| (offer.key(), priority(offer)));
        let gone = aside.iter().flat_map(|aside| aside.names.iter().map(|key| (key.clone(), aside.priority)));
        for (key, priority) in there.chain(gone) {
            let known = greatest.entry(key).or_insert(i64::MIN);
            *known = (*known).max(priority);
        }
        let beaten =
            |offer: &Offer| greatest.get(&offer.key()).is_some_and(|greatest| priority(offer) < *greatest);
        (*out, *all) = std::mem::take(all).into_iter().partition(beaten);
    }

    /// The failure behind a request without a plan: of a name that only unreadable entries have, theirs.
    pub fn no_plan(&self, error: NoPlan) -> Failure {
        if let NoPlan::NotFound { name, .. } | NoPlan::NoVersion { name, .. } = &error {
            let (kind, bare) = split_name(name);
            let bare = bare.split(['=', '<', '>', '!']).next().unwrap_or(bare).trim_end();
            let named = |target: &TargetName| {
                let mut parts = target.as_str().split('/');
                let found = parts.next().and_then(Kind::parse);
                parts.next() == Some(bare) && (kind.is_none() || kind == found)
            };
            if let Some((_, failure)) = self.unreadable.iter().find(|(target, _)| named(target)) {
                return failure.clone();
            }
            let has = |aside: &&Aside| {
                aside.names.iter().any(|(found, name)| name == bare && kind.is_none_or(|kind| kind == *found))
            };
            if let Some(aside) = self.aside.iter().find(has) {
                return aside.failure.clone();
            }
        }
        no_plan(error)
    }

    /// The repository that an offer is from.
    pub fn repository(&self, offer: &Offer) -> Result<&Trusted, Failure> {
        self.repositories.get(offer.repository).ok_or_else(|| {
            Failure::new(ExitCode::Failure, "an offer names no repository; this is a defect of pkg")
        })
    }
}

/// What a plan needs to know of a layer.
pub fn facts(descriptor: &Descriptor, layer: LayerId) -> Facts {
    let dependencies = |texts: &[String]| texts.iter().filter_map(|text| Dependency::parse(text)).collect();
    Facts {
        kind: descriptor.kind(),
        name: descriptor.name().to_owned(),
        version: descriptor.version().to_owned(),
        arch: descriptor.arch().to_owned(),
        abi: descriptor.abi().map(str::to_owned),
        compatible: descriptor.compatible().to_vec(),
        provides: dependencies(descriptor.provides()),
        depends: dependencies(descriptor.depends()),
        conflicts: dependencies(descriptor.conflicts()),
        replaces: dependencies(descriptor.replaces()),
        upgrade_from: descriptor.upgrade_from().map(str::to_owned),
        layer,
    }
}

/// A repository that cannot be trusted now, because of `failure`. What it offered is read as of a time at which nothing had expired:
/// its signatures count for hiding names, and for nothing else.
fn aside(store: &Store, repository: &Repository, failure: Failure) -> Result<Aside, Failure> {
    let files = kept_files(store, repository)?;
    let mut last = Offers::none();
    if files.contains_key(tuf::TIMESTAMP) {
        // What is damaged as well could hide anything, so then nothing goes on without it.
        let catalog = Catalog::load(files, 0, tuf::Limits::default()).map_err(|_| failure.clone())?;
        offers_of(0, repository, &catalog, &mut last);
    }
    let names = last.all.iter().filter(|offer| offer.is_for_this_machine()).map(Offer::key).collect();
    Ok(Aside { failure, priority: repository.priority, names })
}

fn kept_files(store: &Store, repository: &Repository) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut files = BTreeMap::new();
    for role in std::iter::once(tuf::ROOT).chain(repositories::roles()) {
        if let Some(bytes) = repositories::kept(store, repository, role)? {
            files.insert(role.to_owned(), bytes);
        }
    }
    Ok(files)
}

/// The kept catalog and keyring of a repository, verified again.
pub fn trusted(store: &Store, repository: Repository, now: u64) -> Result<Trusted, Failure> {
    let files = kept_files(store, &repository)?;
    if !files.contains_key(tuf::TIMESTAMP) {
        let line = format!("the catalog of '{}' was never fetched; run `pkg update` first", repository.name);
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    let doing = format!("the catalog of '{}' is refused", repository.name);
    let catalog = Catalog::load(files, now, tuf::Limits::default()).or_fail(ExitCode::Signature, &doing)?;
    let bytes = record(store, RecordType::Keyring, &repository.key())?.ok_or_else(|| {
        Failure::new(
            ExitCode::NotFound,
            format!("'{}' has no keyring here; run `pkg update` first", repository.name),
        )
    })?;
    let keyring = verify_keyring(&bytes, &catalog, &repository)?;
    Ok(Trusted { repository, catalog, keyring })
}

/// Checks a keyring against the root keys of its repository.
pub fn verify_keyring(
    bytes: &[u8],
    catalog: &Catalog,
    repository: &Repository,
) -> Result<VerifiedKeyring, Failure> {
    let doing = format!("the keyring of '{}' is refused", repository.name);
    let claimed = Keyring::parse(bytes).or_fail(ExitCode::Signature, &doing)?;
    keyring::verify(&claimed, &catalog.root.root().keys(), catalog.root.root().threshold())
        .or_fail(ExitCode::Signature, &doing)
}

/// The layers of a catalog. An entry that this program cannot read (a newer architecture, another certificate) is set
/// aside and does not stand in the way of the others, or nobody could install the newer program.
fn offers_of(number: usize, repository: &Repository, catalog: &Catalog, offers: &mut Offers) {
    for (name, file) in &catalog.targets {
        if name.as_str().split('/').next().is_none_or(|kind| Kind::parse(kind).is_none()) {
            continue;
        }
        match offer_of(number, repository, name, file) {
            Ok(offer) if !offer.custom.channels.contains(&repository.channel) => {}
            Ok(offer) => offers.all.push(offer),
            Err(failure) => offers.unreadable.push((name.clone(), failure)),
        }
    }
}

fn offer_of(
    number: usize,
    repository: &Repository,
    name: &TargetName,
    file: &TargetFile,
) -> Result<Offer, Failure> {
    let doing = format!("the entry {name} in the catalog of '{}' is refused", repository.name);
    let custom = LayerCustom::parse(&file.custom).or_fail(ExitCode::Signature, &doing)?;
    let descriptor = Descriptor::from_json(&custom.descriptor).or_fail(ExitCode::Signature, &doing)?;
    let (kind, arch) = (descriptor.kind(), descriptor.arch());
    let expected = format!("{kind}/{}/{}/{arch}", descriptor.name(), descriptor.version());
    if expected != name.as_str() {
        return Err(Failure::new(ExitCode::Signature, format!("{doing}: its descriptor says {expected}")));
    }
    Ok(Offer { repository: number, target: name.clone(), file: file.clone(), custom, descriptor })
}

/// The failure of a request for what is installed: no catalog was asked, so none can help.
pub fn not_installed(error: NoPlan) -> Failure {
    match error {
        NoPlan::NotFound { name, similar } => {
            let hint = match similar.as_slice() {
                [] => "`pkg list` shows what is".to_owned(),
                near => format!("did you mean {}?", near.join(", ")),
            };
            Failure::new(ExitCode::NotFound, format!("'{name}' is not installed; {hint}"))
        }
        other => no_plan(other),
    }
}

/// Exit code of a request without a plan.
pub fn no_plan(error: NoPlan) -> Failure {
    let code = match &error {
        NoPlan::NotFound { .. } | NoPlan::NoVersion { .. } => ExitCode::NotFound,
        NoPlan::Ambiguous { .. } => ExitCode::Usage,
        NoPlan::WrongMachine { .. } => ExitCode::Machine,
        NoPlan::Impossible { .. } | NoPlan::StillNeeded { .. } => ExitCode::Conflict,
        NoPlan::TooHard => ExitCode::Failure,
    };
    Failure::new(code, error.to_string())
}
