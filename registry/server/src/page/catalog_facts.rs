//! A catalog as it lies in the storage, read for people: its roles, its expiry, what it offers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::TryStreamExt;
use maud::{Markup, html};
use plyos_blobs::{CatalogName, CatalogPath, Digest, StoreError};
use serde_json::Value;

use super::roles::{self, Holders, Role, Target};
use super::{order, shown};
use crate::router::Registry;

/// What everything is reached through.
const TIMESTAMP: &str = "metadata/timestamp.json";
/// Longest metadata file that is looked into.
const LONGEST: u64 = 16 * 1024 * 1024;
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

/// Catalogs that were read, by name, as long as their timestamps stay: a large one takes a while to read.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    known: Mutex<HashMap<String, (Digest, Arc<Offer>)>>,
}

/// Most catalogs that are remembered; when full, all are forgotten.
const MOST_REMEMBERED: usize = 32;

impl Offers {
    fn find(&self, name: &CatalogName, timestamp: &Digest) -> Option<Arc<Offer>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name.as_str()).filter(|(digest, _)| digest == timestamp).map(|(_, offer)| Arc::clone(offer))
    }

    fn keep(&self, name: &CatalogName, timestamp: Digest, offer: &Arc<Offer>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(name.to_string(), (timestamp, Arc::clone(offer)));
    }
}

/// What a catalog says; `None` if there is no timestamp.
pub(super) async fn offer(registry: &Registry, name: &CatalogName) -> Result<Option<Arc<Offer>>, StoreError> {
    let Ok(path) = TIMESTAMP.parse::<CatalogPath>() else { return Ok(None) };
    let Some(timestamp) = registry.storage.catalog.find(name, &path).await? else { return Ok(None) };
    if let Some(known) = registry.offers.find(name, &timestamp.digest) {
        return Ok(Some(known));
    }
    let Some(offer) = read_all(registry, name).await?.map(Arc::new) else { return Ok(None) };
    // What was incomplete may have been just being published.
    if offer.missing.is_empty() {
        registry.offers.keep(name, timestamp.digest, &offer);
    }
    Ok(Some(offer))
}

async fn read_all(registry: &Registry, name: &CatalogName) -> Result<Option<Offer>, StoreError> {
    let mut offer = Offer {
        name: name.to_string(),
        roles: Vec::new(),
        missing: Vec::new(),
        signed_at: String::new(),
        targets: 0,
        offered: Vec::new(),
        keyring: None,
    };
    let Some(timestamp) = read(registry, name, TIMESTAMP, "timestamp").await? else {
        return Ok(None);
    };
    let signed_at = timestamp.1.get("x-plyos-signed-at").and_then(Value::as_str).unwrap_or("not said");
    offer.signed_at = shown::text(signed_at);
    let root = newest_root(registry, name).await?;
    let keys = root.as_ref().map(|(_, signed)| signed.clone()).unwrap_or_default();

    let mut listed = roles::listed(&timestamp.1);
    offer.keep(timestamp.0, roles::holders(&keys, "timestamp"));
    let snapshot = listed.pop().filter(|(role, _)| role == "snapshot");
    let snapshot = match snapshot {
        Some((_, version)) => {
            read(registry, name, &format!("metadata/{version}.snapshot.json"), "snapshot").await?
        }
        None => None,
    };
    let Some((role, signed)) = snapshot else {
        offer.missing.push("snapshot".to_owned());
        return Ok(Some(offer));
    };
    let mut listed = roles::listed(&signed);
    offer.keep(role, roles::holders(&keys, "snapshot"));
    // The top-level targets name the keys of the others.
    listed.sort_by_key(|(role, _)| role != "targets");
    let mut delegations = Value::Null;
    for (role_name, version) in listed {
        let path = format!("metadata/{version}.{role_name}.json");
        let Some((role, signed)) = read(registry, name, &path, &role_name).await? else {
            offer.missing.push(shown::text(&role_name));
            continue;
        };
        let top = role_name == "targets";
        let holders =
            if top { roles::holders(&keys, "targets") } else { roles::delegated(&delegations, &role_name) };
        offer.keep(role, holders);
        offer.offered.extend(roles::targets(&signed));
        if top {
            delegations = signed;
        }
    }
    if let Some((role, _)) = root {
        offer.keep(role, roles::holders(&keys, "root"));
    } else {
        offer.missing.push("root".to_owned());
    }
    let keyring = offer.offered.iter().position(|target| target.name == "keyring");
    offer.keyring = keyring.map(|at| offer.offered.swap_remove(at));
    offer.offered.sort_by(|a, b| order::natural(&a.name, &b.name));
    offer.targets = offer.offered.len();
    Ok(Some(offer))
}

impl Offer {
    fn keep(&mut self, role: Role, holders: Holders) {
        self.roles.push(Held { role, holders });
    }
}

/// The root with the highest version; versions leave none out, so they are searched by halves.
async fn newest_root(registry: &Registry, name: &CatalogName) -> Result<Option<(Role, Value)>, StoreError> {
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
    read(registry, name, &format!("metadata/{there}.root.json"), "root").await
}

async fn read(
    registry: &Registry,
    name: &CatalogName,
    path: &str,
    role: &str,
) -> Result<Option<(Role, Value)>, StoreError> {
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
    Ok(Role::parse(role, &bytes))
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
