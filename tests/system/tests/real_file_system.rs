//! Power cuts below a real file system: `pkg` works on a store file, all that reaches the disk is recorded, the power goes,
//! the kernel's file system recovers, and the store must be there in the old or the new state, whole.
//!
//! The campaign of `casstore/storefile/tests/power_cut` cuts the store's own writes; this shows that what a file system makes
//! of them (sparse files, delayed allocation, a rename, a journal) keeps the order that the store relies on. A write tears
//! only there, for a file system may rely on whole blocks.
//!
//! `PLYOS_FILESYSTEM_CUTS` asks for more cuts; `PLYOS_CRASH_SEED` chooses which. What this machine lacks for it is said in a
//! line, and the test passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test asserts by panicking"
)]

use plyos_ids::LayerId;
use plyos_slots::Slots;
use plyos_storefile::{RecordType, Store, StoreError};
use plyos_test_system::block_log::{BlockLog, Disk};
use plyos_test_system::programs::{Ended, built, command, run};
use plyos_test_system::publisher::{Layer, now};
use plyos_test_system::recorded_disk::{FILE_SYSTEMS, FileSystem, Mounted, RecordedDisk, missing};
use plyos_test_system::trees::{self, Tree, noise};
use plyos_test_system::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Cuts below each file system in `make test`.
const CUTS: u64 = 150;
/// After one in so many cuts the rest of the commands is run.
const COMPLETED: u64 = 7;
/// Exit code of `pkg verify`.
const DAMAGED: i32 = 5;

/// What a store holds, times and offsets aside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    sequence: u64,
    slots: Slots,
    records: BTreeMap<(RecordType, [u8; 32]), Vec<u8>>,
    /// Complete or not, and how many chunks are here.
    layers: BTreeMap<LayerId, (bool, usize)>,
}

impl State {
    /// `None`: there is no store.
    fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let store = Store::open(path)?;
        let mut records = BTreeMap::new();
        for entry in RecordType::ALL.into_iter().flat_map(|record_type| store.records(record_type)) {
            let bytes = store.record(entry.record_type, &entry.key)?;
            records.insert((entry.record_type, entry.key), bytes.unwrap());
        }
        let mut layers = BTreeMap::new();
        for entry in store.layers() {
            let layer = store.layer(&entry.id)?.unwrap();
            layers.insert(entry.id, (layer.complete, layer.places().iter().flatten().count()));
        }
        Ok(Some(Self { sequence: store.superblock().sequence, slots: *store.slots(), records, layers }))
    }

    /// What a user sees of it.
    fn seen(&self) -> (Slots, Option<&Vec<u8>>) {
        (self.slots, self.records.get(&(RecordType::History, RecordType::ONLY)))
    }
}

/// Which state a cut left: that before the command which was cut, that after it, or one of its commits in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Old,
    Between,
    New,
}

/// What a machine does: `pkg` with these arguments, one after the other.
struct Commands {
    world: World,
    steps: Vec<Vec<String>>,
}

impl Commands {
    fn new() -> Self {
        let world = World::empty();
        world.release(&trees::base(), &Layer::new("base", "plain", "1"));
        let site = |version: u64| {
            let own = noise(10 + version, 150_000);
            Tree::new()
                .file("shared", noise(10, 300_000))
                .file("own", own)
                .file("words", trees::prose(1, 300))
        };
        for version in [1, 2] {
            world.release(&site(version), &Layer::new("site", "docs", &version.to_string()));
        }
        let (catalog, root) = (world.catalog(), world.publisher.root_sha256().to_owned());
        let steps = [
            &["init", "--size", "16M"][..],
            &["repo", "add", &catalog, "--root", &root],
            &["update"],
            &["install", "plain"],
            &["install", "docs=1"],
            &["upgrade", "--yes"],
            &["remove", "--yes", "docs"],
            &["rollback"],
            &["clean", "--all"],
        ];
        let words = |step: &&[&str]| step.iter().map(|word| (*word).to_owned()).collect();
        let steps = steps.iter().map(words).collect();
        Self { world, steps }
    }

    fn pkg<S: AsRef<str>>(&self, folder: &Path, args: &[S]) -> Ended {
        let home = self.world.target.beside("home");
        std::fs::create_dir_all(&home).unwrap();
        let args = args.iter().map(AsRef::as_ref);
        run(command(built("pkg"), &home).env("PKG_STORE", folder.join("store")).args(args))
    }

    /// What is installed and active, without the store's numbers.
    fn outcome(&self, folder: &Path) -> Vec<u8> {
        self.pkg(folder, &["--json", "list"]).ok().stdout
    }
}

/// The commands as they went on a recorded disk.
struct Recording {
    made: Disk,
    log: BlockLog,
    /// State before the first command and after each one, with how many entries of the log there were then.
    states: Vec<(usize, Option<State>)>,
    outcome: Vec<u8>,
}

impl Recording {
    fn make(commands: &Commands, system: &FileSystem) -> Self {
        let disk = RecordedDisk::new(system);
        let store = disk.path().join("store");
        let mut states = vec![(disk.log_len(), None)];
        for step in &commands.steps {
            commands.pkg(disk.path(), step).ok();
            states.push((disk.log_len(), State::read(&store).unwrap()));
        }
        let outcome = commands.outcome(disk.path());
        let (made, log) = disk.end();
        let states = states.into_iter().map(|(len, state)| (log.entries_in(len), state)).collect();
        Self { made, log, states, outcome }
    }

    /// The disk after a cut: what was flushed, and of the writes in flight those that `kept` says.
    fn disk(&self, at: usize, kept: impl Fn(usize) -> bool) -> Disk {
        let certain = self.log.certain_at(at);
        let mut disk = self.made.clone();
        for (number, entry) in self.log.entries[..at].iter().enumerate() {
            if number < certain || kept(number) {
                disk.write(entry.offset, &entry.bytes);
            }
        }
        disk
    }
}

/// Mounts a disk after a cut and checks the store there.
fn check(
    commands: &Commands,
    recording: &Recording,
    system: &FileSystem,
    (at, disk): (usize, &Disk),
    complete: bool,
) -> Result<Reached, String> {
    let in_flight = recording.log.certain_at(at) < at;
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    disk.store(&image);
    let mounted = Mounted::new(&image, &folder.path().join("mounted"), system)?;
    let path = mounted.path();
    // Commands that had returned; of the next one everything, nothing, or a commit in between may be there.
    let done = recording.states.partition_point(|(end, _)| *end <= at).max(1) - 1;
    let old = recording.states[done].1.as_ref();
    let new = recording.states.get(done + 1).map_or(old, |(_, new)| new.as_ref());
    let found = State::read(&path.join("store")).map_err(|error| format!("[opens] {error}"))?;
    let Some(found) = found else {
        return if old.is_none() {
            Ok(Reached::Old)
        } else {
            Err("[old or new] the store is gone".to_owned())
        };
    };
    let sequence = |state: Option<&State>| state.map_or(0, |state| state.sequence);
    let is = |state: Option<&State>| state == Some(&found);
    let sees = |state: Option<&State>| state.is_some_and(|state| state.seen() == found.seen());
    let between = sequence(old)..sequence(new);
    let reached = if is(old) {
        Reached::Old
    } else if is(new) {
        Reached::New
    } else if found.sequence > between.start && between.contains(&found.sequence) && (sees(old) || sees(new))
    {
        Reached::Between
    } else {
        let (found, old, new) = (found.sequence, sequence(old), sequence(new));
        return Err(format!("[old or new] sequence {found} is neither {old} nor {new}, nor fits between"));
    };
    let verified = commands.pkg(path, &["--json", "verify"]);
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap_or_default();
    // The superblock copy that was just being written may be torn: it is not the one that counts.
    let torn = in_flight && verified.code == Some(DAMAGED) && report["superblock"].is_object();
    let whole = ["records", "layers"].iter().all(|what| report[*what].as_array().is_some_and(Vec::is_empty));
    if !whole || !(report["clean"] == true || torn) {
        return Err(format!("[whole] pkg verify: {}{}", verified.text(), verified.stderr));
    }
    if complete {
        let next = if reached == Reached::New { done + 1 } else { done };
        for step in commands.steps.iter().skip(next) {
            let ended = commands.pkg(path, step);
            if ended.code != Some(0) {
                return Err(format!("[completes] {}: {}", ended.line, ended.stderr));
            }
        }
        if commands.outcome(path) != recording.outcome {
            return Err("[completes] the rest ended in another state".to_owned());
        }
    }
    Ok(reached)
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Says something even when the test passes.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn a_cut_below_ext4_leaves_the_old_state_or_the_new_one() {
    cut_below("ext4");
}

#[test]
fn a_cut_below_xfs_leaves_the_old_state_or_the_new_one() {
    cut_below("xfs");
}

#[test]
fn a_cut_below_btrfs_leaves_the_old_state_or_the_new_one() {
    cut_below("btrfs");
}

fn cut_below(name: &str) {
    let system = FILE_SYSTEMS.iter().find(|system| system.name == name).unwrap();
    if let Some(why) = missing(system) {
        say(&format!("SKIPPED: power cuts below {name}: {why}"));
        return;
    }
    let seed = number_in("PLYOS_CRASH_SEED").unwrap_or_else(now);
    say(&format!("{name}: PLYOS_CRASH_SEED={seed}"));
    let started = Instant::now();
    let commands = Commands::new();
    let recording = Recording::make(&commands, system);
    let entries = &recording.log.entries;
    let flushes: Vec<usize> = (0..entries.len()).filter(|number| entries[*number].flush).collect();
    let first = recording.states[0].0;
    let window: Vec<usize> = flushes.into_iter().filter(|number| *number >= first).collect();
    assert!(window.len() > commands.steps.len(), "{} flushes do not reach the log", window.len());
    // Behind each flush, and before it with everything in flight kept; then anywhere, with any of the writes in flight.
    let fixed: Vec<usize> = window.iter().flat_map(|number| [number + 1, *number]).collect();

    let cuts = number_in("PLYOS_FILESYSTEM_CUTS").unwrap_or(CUTS).max(fixed.len() as u64);
    let mut random = noise(seed, usize::try_from(cuts).unwrap() * 8).into_iter();
    let mut draw = |bound: usize| {
        let bytes: Vec<u8> = random.by_ref().take(4).collect();
        u32::from_le_bytes(bytes.try_into().unwrap()) as usize % bound
    };
    let (mut returned, mut reached) = (BTreeSet::new(), BTreeMap::<Reached, u64>::new());
    for number in 0..cuts {
        let chosen = noise(seed ^ (number << 32), entries.len());
        let (at, often) = match usize::try_from(number).ok().and_then(|number| fixed.get(number)) {
            Some(at) => (*at, 256),
            None => (first + draw(entries.len() + 1 - first), [32, 128, 224][draw(3)]),
        };
        let kept = |number: usize| u16::from(chosen[number]) < often;
        let open = recording.log.certain_at(at)..at;
        returned.insert(recording.states.partition_point(|(end, _)| *end <= at));
        let disk = recording.disk(at, kept);
        match check(&commands, &recording, system, (at, &disk), number % COMPLETED == 0) {
            Ok(which) => *reached.entry(which).or_default() += 1,
            Err(error) => {
                let kept: Vec<usize> = open.filter(|number| kept(*number)).collect();
                let of = entries.len();
                panic!(
                    "{name}, cut {number}, after entry {at} of {of}, in flight and kept {kept:?}: {error}"
                );
            }
        }
    }
    assert_eq!(returned.len(), recording.states.len(), "a command in which no cut came");
    assert!(reached.contains_key(&Reached::Old) && reached.contains_key(&Reached::New), "{reached:?}");
    say(&format!(
        "{name}: {cuts} cuts, behind and before each of {} flushes and among {} writes, left {reached:?}; {:.1} s",
        window.len(),
        entries.iter().filter(|entry| !entry.bytes.is_empty()).count(),
        started.elapsed().as_secs_f64()
    ));
}
