//! That there is nothing to upgrade, remembered: of a large catalog it takes most of a second to verify all of it again and to find
//! that nothing changed.
//!
//! What is remembered is a hash of everything that the answer follows from, without reading it: the store's directory names each record with its
//! hash. It holds until the first piece of metadata runs out. A store is no authority, and this gives it no power that it lacks: it could
//! withhold an upgrade by withholding the catalog as well. Nothing is remembered of small catalogs, nor of layers that are kept back.

use crate::admission;
use crate::catalogs::Offers;
use crate::settings::Settings;
use crate::target::{ABIS, Target};
use plyos_report::Failure;
use plyos_storefile::{RecordType, Store, Writer};

/// Offers from which on it is worth a commit.
const LARGE: usize = 1000;
/// Changes with the rules by which plans are made.
const RULES: &[u8] = b"plyos idle 1";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// Hash of what it follows from.
    pub inputs: [u8; 32],
    /// When it ends to hold, in seconds since 1970.
    pub until: u64,
}

/// Whether it is known that nothing is to be done.
pub fn is_known(target: &Target, store: &Store) -> bool {
    let Ok(settings) = Settings::load(store) else { return false };
    settings
        .idle
        .is_some_and(|idle| target.now(store) < idle.until && idle.inputs == inputs(store, &settings))
}

/// Remembers it, unless another writes just now; whether that works is no matter.
pub fn note(target: &Target, store: &Store, offers: &Offers) {
    let until = offers.repositories.iter().map(|trusted| trusted.catalog.expires).min();
    let (true, Some(until)) = (offers.all.len() >= LARGE && offers.are_whole(), until) else { return };
    let Some(mut writer) = target.writer_at_once() else { return };
    if writer.superblock().sequence != store.superblock().sequence {
        return;
    }
    if let Err(failure) = put(target, &mut writer, until) {
        target.progress.detail(&failure.message);
    }
}

fn put(target: &Target, writer: &mut Writer, until: u64) -> Result<(), Failure> {
    let mut settings = Settings::load(writer)?;
    settings.idle = Some(Idle { inputs: inputs(writer, &settings), until });
    settings.put(target, writer)?;
    writer.commit(None).map_err(|error| target.fail(&error))
}

fn inputs(store: &Store, settings: &Settings) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    // Each text with its length, so that no two lists look the same.
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    add(RULES);
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(std::env::consts::ARCH.as_bytes());
    for list in [ABIS.iter().map(|abi| abi.as_bytes()).collect::<Vec<_>>(), texts(admission::hardware())] {
        add(&(list.len() as u64).to_le_bytes());
        list.into_iter().for_each(&mut add);
    }
    settings.holds.iter().for_each(|held| add(held.as_bytes()));
    match store.slots().active() {
        Some(slot) => add(slot.generation.as_bytes()),
        None => add(b""),
    }
    for record_type in [RecordType::Repository, RecordType::TufMetadata, RecordType::Keyring] {
        for entry in store.records(record_type) {
            add(&entry.key);
            add(entry.hash.as_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}

fn texts(list: &[String]) -> Vec<&[u8]> {
    list.iter().map(String::as_bytes).collect()
}
