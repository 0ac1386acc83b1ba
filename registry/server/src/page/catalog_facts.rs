//! A catalog as it lies in the storage, read for people: its roles, its expiry, what it offers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::TryStreamExt;
use maud::{Markup, html};
use plyos_blobs::{CatalogName, CatalogPath, Digest, StoreError};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::roles::{self, Holders, Role, Target};
use super::{order, shown};
use crate::router::Registry;

/// What everything is reached through.
const TIMESTAMP: &str = "metadata/timestamp.json";
/// Longest metadata file that is looked into.
const LONGEST: u64 = 8 * 1024 * 1024;
/// Most targets of a catalog that are shown.
const MOST_TARGETS: usize = 20_000;
/// Highest version of a root that is looked for: a root a week for 80 years.
const MOST_ROOTS: u64 = 4096;
/// What runs out sooner than this is marked, in seconds.
const SOON: i64 = 2 * 86_400;

/// A role with who may sign it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) role: Role,
    pub(super) holders: Holders,
}

/// What a catalog says.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) name: String,
    /// Timestamp, snapshot, targets and kinds, root, in this order, as far as they are there.
    pub(super) roles: Vec<Held>,
    /// Names of roles that are missing or cannot be read.
    pub(super) missing: Vec<String>,
    pub(super) signed_at: String,
    /// Without the keyring.
    pub(super) targets: usize,
    /// Whether there are more targets than are shown.
    pub(super) more: bool,
    /// Sorted by name, numbers as numbers.
    pub(super) offered: Vec<Target>,
    pub(super) keyring: Option<Target>,
}

impl Offer {
    /// Whether every role is there with as many signatures as it needs.
    pub(super) fn complete(&self) -> bool {
        let enough = |held: &Held| {
            held.holders.threshold > 0 && held.role.signatures(&held.holders) as u64 >= held.holders.threshold
        };
        self.missing.is_empty() && self.roles.iter().all(enough)
    }

    /// The role that runs out first; after that targets refuse the whole.
    pub(super) fn first_to_expire(&self) -> Option<&Role> {
        self.roles.iter().map(|held| &held.role).min_by_key(|role| role.expires_at)
    }
}

/// Catalogs that were read, by name, as long as their timestamps stay: a large one takes a while to read. One is read at a time, because
/// it is in memory whole.
#[derive(Debug)]
pub(crate) struct Offers {
    known: Mutex<HashMap<String, Known>>,
    reading: Arc<Semaphore>,
}

/// A catalog that was read.
#[derive(Debug)]
struct Known {
    timestamp: Digest,
    /// None if nothing can be told from its timestamp.
    offer: Option<Arc<Offer>>,
    read_at: Instant,
}

/// Most catalogs, and targets of all of them, that are remembered; when full, all are forgotten.
const MOST_REMEMBERED: usize = 32;
const MOST_TARGETS_REMEMBERED: usize = 2 * MOST_TARGETS;
/// How long an incomplete catalog is remembered: it may have been just being published.
const INCOMPLETE: Duration = Duration::from_secs(10);

/// Held by whatever works on a catalog, to its end.
type Turn = Arc<OwnedSemaphorePermit>;

impl Default for Offers {
    fn default() -> Self {
        Self { known: Mutex::default(), reading: Arc::new(Semaphore::new(1)) }
    }
}

impl Offers {
    fn find(&self, name: &CatalogName, timestamp: &Digest, now: Instant) -> Option<Option<Arc<Offer>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(name.as_str()).filter(|known| known.timestamp == *timestamp)?;
        let whole = known.offer.as_ref().is_some_and(|offer| offer.missing.is_empty());
        let fresh = whole || now.saturating_duration_since(known.read_at) < INCOMPLETE;
        fresh.then(|| known.offer.clone())
    }

    fn keep(&self, name: &CatalogName, timestamp: Digest, offer: Option<Arc<Offer>>, read_at: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |offer: &Option<Arc<Offer>>| offer.as_ref().map_or(0, |offer| offer.offered.len());
        let targets: usize = known.values().map(|known| count(&known.offer)).sum();
        if known.len() >= MOST_REMEMBERED || targets + count(&offer) > MOST_TARGETS_REMEMBERED {
            known.clear();
        }
        known.insert(name.to_string(), Known { timestamp, offer, read_at });
    }
}

/// What a catalog says; `None` if there is no timestamp, or nothing can be told from it.
pub(super) async fn offer(registry: &Registry, name: &CatalogName) -> Result<Option<Arc<Offer>>, StoreError> {
    let Ok(path) = TIMESTAMP.parse::<CatalogPath>() else { return Ok(None) };
    let Some(timestamp) = registry.storage.catalog.find(name, &path).await? else { return Ok(None) };
    let known = || registry.offers.find(name, &timestamp.digest, Instant::now());
    if let Some(known) = known() {
        return Ok(known);
    }
    // Never closed.
    let Ok(turn) = Arc::clone(&registry.offers.reading).acquire_owned().await else { return Ok(None) };
    // Perhaps by whoever had the turn before.
    if let Some(known) = known() {
        return Ok(known);
    }
    let turn = Arc::new(turn);
    let offer = match read_all(registry, name, &turn).await? {
        Some(offer) => arranged(offer, &turn).await,
        None => None,
    };
    registry.offers.keep(name, timestamp.digest, offer.clone(), Instant::now());
    Ok(offer)
}

/// A catalog with its targets sorted, which takes a moment if they are many.
async fn arranged(mut offer: Offer, turn: &Turn) -> Option<Arc<Offer>> {
    let arrange = move || {
        let keyring = offer.offered.iter().position(|target| target.name == "keyring");
        offer.keyring = keyring.map(|at| offer.offered.swap_remove(at));
        offer.offered.sort_by(|a, b| order::natural(&a.name, &b.name));
        offer.targets = offer.offered.len();
        Arc::new(offer)
    };
    apart(turn, arrange).await
}

/// Runs what takes long where it keeps nobody waiting. The turn lasts as long, even if nobody waits for what comes out.
async fn apart<T: Send + 'static>(turn: &Turn, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let turn = Arc::clone(turn);
    let work = move || {
        let done = work();
        drop(turn);
        done
    };
    tokio::task::spawn_blocking(work).await.ok()
}

async fn read_all(registry: &Registry, name: &CatalogName, turn: &Turn) -> Result<Option<Offer>, StoreError> {
    let read = async |path: &str, role: &str| read(registry, name, path, role, turn).await;
    let mut offer = Offer {
        name: name.to_string(),
        roles: Vec::new(),
        missing: Vec::new(),
        signed_at: String::new(),
        targets: 0,
        more: false,
        offered: Vec::new(),
        keyring: None,
    };
    let Some(timestamp) = read(TIMESTAMP, "timestamp").await? else {
        return Ok(None);
    };
    let signed_at = timestamp.signed.get("x-plyos-signed-at").and_then(Value::as_str).unwrap_or("not said");
    offer.signed_at = shown::text(signed_at);
    let root = read(&newest_root(registry, name).await?, "root").await?;
    let (root, keys) = root.map_or((None, Value::Null), |root| (Some(root.role), root.signed));

    let mut listed = roles::listed(&timestamp.signed);
    offer.keep(timestamp.role, roles::holders(&keys, "timestamp"));
    let snapshot = listed.pop().filter(|(role, _)| role == "snapshot");
    let snapshot = match snapshot {
        Some((_, version)) => read(&format!("metadata/{version}.snapshot.json"), "snapshot").await?,
        None => None,
    };
    let Some(snapshot) = snapshot else {
        offer.missing.push("snapshot".to_owned());
        return Ok(Some(offer));
    };
    let mut listed = roles::listed(&snapshot.signed);
    offer.keep(snapshot.role, roles::holders(&keys, "snapshot"));
    // The top-level targets name the keys of the others.
    listed.sort_by_key(|(role, _)| role != "targets");
    let mut delegations = Value::Null;
    for (role_name, version) in listed {
        let path = format!("metadata/{version}.{role_name}.json");
        let Some(mut found) = read(&path, &role_name).await? else {
            offer.missing.push(shown::text(&role_name));
            continue;
        };
        let top = role_name == "targets";
        let holders =
            if top { roles::holders(&keys, "targets") } else { roles::delegated(&delegations, &role_name) };
        offer.keep(found.role, holders);
        let room = MOST_TARGETS.saturating_sub(offer.offered.len());
        offer.more |= found.targets.len() > room;
        found.targets.truncate(room);
        offer.offered.append(&mut found.targets);
        if top {
            delegations = found.signed;
        }
    }
    if let Some(role) = root {
        offer.keep(role, roles::holders(&keys, "root"));
    } else {
        offer.missing.push("root".to_owned());
    }
    Ok(Some(offer))
}

impl Offer {
    fn keep(&mut self, role: Role, holders: Holders) {
        self.roles.push(Held { role, holders });
    }
}

/// The path of the root with the highest version; versions leave none out, so they are searched by halves.
async fn newest_root(registry: &Registry, name: &CatalogName) -> Result<String, StoreError> {
    let (mut there, mut step) = (0, MOST_ROOTS);
    while step > 0 {
        let path = format!("metadata/{}.root.json", there + step);
        if let Ok(path) = path.parse()
            && registry.storage.catalog.find(name, &path).await?.is_some()
        {
            there += step;
        }
        step /= 2;
    }
    Ok(format!("metadata/{there}.root.json"))
}

/// A metadata file that was read.
struct Found {
    role: Role,
    /// What was signed, without the targets.
    signed: Value,
    targets: Vec<Target>,
}

async fn read(
    registry: &Registry,
    name: &CatalogName,
    path: &str,
    role: &str,
    turn: &Turn,
) -> Result<Option<Found>, StoreError> {
    // A role's name comes from the catalog, so it may be none that a path can hold.
    let Ok(path) = path.parse::<CatalogPath>() else { return Ok(None) };
    let Some(file) = registry.storage.catalog.find(name, &path).await? else { return Ok(None) };
    if file.size > LONGEST {
        return Ok(None);
    }
    let Some(mut content) = registry.storage.catalog.open(&file, 0..file.size).await? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    while let Some(piece) = content.stream.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    let role = role.to_owned();
    let parse = move || {
        let (role, mut signed) = Role::parse(&role, &bytes)?;
        let targets = roles::take_targets(&mut signed);
        Some(Found { role, signed, targets })
    };
    Ok(apart(turn, parse).await.flatten())
}

/// When a role runs out, as a distance, with the time itself for machines.
pub(super) fn expiry(role: Option<&Role>) -> Markup {
    let Some(role) = role else { return html! { span .state.bad { "not said" } } };
    let Some(at) = role.expires_at else { return html! { span .state.bad { "not a time" } } };
    let left = at - shown::now();
    let (class, words) = match left {
        left if left <= 0 => ("state bad", format!("ran out {} ago", shown::distance(left))),
        left if left < SOON => ("state warn", format!("in {}", shown::distance(left))),
        left => ("state good", format!("in {}", shown::distance(left))),
    };
    html! { span class=(class) { time datetime=(role.expires) title=(role.expires) { (words) } } }
}

/// The role that runs out first, and when.
pub(super) fn first_expiry(offer: &Offer) -> Markup {
    let role = offer.first_to_expire();
    html! { (expiry(role)) @if let Some(role) = role { " " span .soft { "(" (role.name) ")" } } }
}

/// When the timestamp was signed.
pub(super) fn signed_at(offer: &Offer) -> Markup {
    let minutes = offer.signed_at.get(..16).filter(|_| shown::parse_time(&offer.signed_at).is_some());
    html! {
        @if let Some(minutes) = minutes {
            time datetime=(offer.signed_at) { (minutes.replace('T', " ")) " UTC" }
        } @else { (offer.signed_at) }
    }
}

/// Whether there are enough signatures, in a word.
pub(super) fn verdict(enough: bool) -> Markup {
    html! {
        @if enough { span .state.good { "enough" } } @else { span .state.bad { "missing" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(missing: &[&str], targets: usize) -> Option<Arc<Offer>> {
        let target = |number: usize| Target {
            name: number.to_string(),
            size: 0,
            channels: String::new(),
            layer: String::new(),
            manifest: String::new(),
        };
        Some(Arc::new(Offer {
            name: "main".to_owned(),
            roles: Vec::new(),
            missing: missing.iter().map(|&role| role.to_owned()).collect(),
            signed_at: String::new(),
            targets,
            more: false,
            offered: (0..targets).map(target).collect(),
            keyring: None,
        }))
    }

    #[test]
    fn what_is_incomplete_is_remembered_for_a_moment() {
        let (offers, name) = (Offers::default(), "main".parse::<CatalogName>().unwrap());
        let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
        let start = Instant::now();
        let soon = start + INCOMPLETE / 2;
        for kept in [offer(&["snapshot"], 0), None] {
            offers.keep(&name, first, kept, start);
            assert!(offers.find(&name, &first, soon).is_some());
            assert!(offers.find(&name, &first, start + INCOMPLETE).is_none());
        }
        offers.keep(&name, first, offer(&[], 1), start);
        assert!(offers.find(&name, &first, start + INCOMPLETE * 1000).is_some());
        assert!(offers.find(&name, &second, start).is_none(), "another was published");
    }

    #[test]
    fn targets_that_are_remembered_are_bounded() {
        let offers = Offers::default();
        let name = |number: usize| format!("c{number}").parse::<CatalogName>().unwrap();
        let now = Instant::now();
        for number in 0..5 {
            offers.keep(&name(number), Digest::of(b"1"), offer(&[], MOST_TARGETS), now);
        }
        let there = |number: &usize| offers.find(&name(*number), &Digest::of(b"1"), now).is_some();
        assert_eq!((0..5).filter(there).collect::<Vec<_>>(), [4]);
    }
}
