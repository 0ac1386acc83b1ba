//! What a machine does, as a table of workloads: steps that lead to the start, and steps in which the power is cut. Each
//! step is one run of a program; after a cut it is run again, as whoever started it would.

use plyos_ids::{ChunkId, Kind};
use plyos_slots::{BadReason, Candidate, Event, Slot};
use plyos_storefile::{
    Action, BadEntry, CreateOptions, LockMode, RecordType, Store, StoreDevice as _, StoreError, StoredLayer,
};

use crate::device::{LEASES, Medium, Opening};
use crate::layers::*;
use crate::repair::{Damage, repair, spoil};

/// Bytes of the medium.
pub const MEDIUM_LEN: usize = 320 * 4096;
/// Bytes of a new store; small enough that freed room is used again, and with room to grow on the medium.
const STORE_LEN: u64 = 1 << 20;

/// A step: its name and what it does.
pub type Step = (&'static str, fn(&Medium) -> Done);

/// What a machine does.
pub struct Workload {
    pub name: &'static str,
    /// Done before, without a cut.
    pub before: &'static [Step],
    /// Cut everywhere.
    pub steps: &'static [Step],
    /// Numbers of the generations that it may clean away.
    pub cleans: &'static [u64],
    /// What does not verify at its start; at its end everything does.
    pub damaged: &'static [Damage],
}

/// What most workloads are not.
const PLAIN: Workload = Workload { name: "", before: &[], steps: &[], cleans: &[], damaged: &[] };

/// What the store learns joins this table.
pub const WORKLOADS: &[Workload] = &[
    Workload { name: "first install", before: &[], steps: &[CREATE, INSTALL], ..PLAIN },
    Workload {
        name: "upgrade",
        before: &[CREATE, INSTALL],
        steps: &[
            UPGRADE_DOCS,
            ("upgrade with more", |m| go_live(m, &[&BASE, &DOCS2, &TOOLS], Action::Upgrade)),
        ],
        ..PLAIN
    },
    Workload {
        name: "remove",
        before: &[CREATE, INSTALL],
        steps: &[
            ("remove", |m| go_live(m, &[&BASE], Action::Remove)),
            ("install again", |m| go_live(m, &[&BASE, &DOCS], Action::Install)),
        ],
        ..PLAIN
    },
    Workload {
        name: "rollback",
        before: &[CREATE, INSTALL, UPGRADE_DOCS, UPGRADE_TOOLS],
        steps: &[
            ("rollback to the other slot", |m| roll_back(m, 2)),
            ("rollback further", |m| roll_back(m, 1)),
        ],
        ..PLAIN
    },
    Workload {
        name: "trial and promotion",
        before: &[CREATE, INSTALL],
        steps: &[TRIAL, BOOT, PROMOTE, ("the next trial", |m| try_out(m, &DOCS2, 2))],
        ..PLAIN
    },
    Workload {
        name: "failed trial",
        before: &[CREATE, INSTALL],
        steps: &[
            TRIAL,
            BOOT,
            ("its health check fails", |m| fail(m)),
            ("a trial with one try", |m| try_out(m, &DOCS2, 1)),
            BOOT,
            ("tries used up", |m| commit_event(m, Event::TriesUsedUp, 62)),
        ],
        ..PLAIN
    },
    Workload {
        name: "interrupted pull",
        before: &[CREATE, INSTALL],
        steps: &[
            ("half of a download", half_of_a_download),
            ("a download with slots and history", |m| {
                activate(m, &[&BASE, &DOCS, &MODEL], Activation::Live, Action::Install)
            }),
        ],
        ..PLAIN
    },
    Workload {
        name: "two writers",
        before: &[CREATE, INSTALL, TRIAL, BOOT],
        steps: &[
            ("a promotion during a download", promotion_during_a_download),
            ("a trial", |m| try_out(m, &DOCS2, 3)),
            ("a promotion between plan and commit", promotion_between_plan_and_commit),
        ],
        ..PLAIN
    },
    Workload {
        name: "clean-up",
        before: &[CREATE, INSTALL, UPGRADE_DOCS, UPGRADE_TOOLS],
        steps: &[
            ("clean-up beside a mount", clean_up_beside_a_mount),
            ("clean-up", |m| clean_up(m, 1, &[&DOCS])),
            ("another commit, so that neither copy names what was removed", |m| note(m, 8)),
            ("install into the room that was freed", |m| go_live(m, &[&BASE, &MODEL], Action::Install)),
        ],
        cleans: &[1],
        ..PLAIN
    },
    Workload {
        name: "grow",
        before: &[CREATE, INSTALL],
        steps: &[
            ("grow", |m| Ok(writer(m)?.grow(MEDIUM_LEN as u64)?)),
            ("install into what is new", |m| go_live(m, &[&BASE, &DOCS, &MODEL], Action::Install)),
            ("a record in the reserve, which has moved", fresh_floors),
        ],
        ..PLAIN
    },
    Workload {
        name: "repair of chunks",
        before: &[CREATE, INSTALL, UPGRADE_TOOLS, ("damage", |m| spoil(m, CHUNKS))],
        steps: &[REPAIR, UPGRADE_DOCS],
        damaged: CHUNKS,
        ..PLAIN
    },
    Workload {
        name: "repair of maps",
        before: &[CREATE, INSTALL, UPGRADE_TOOLS, ("damage", |m| spoil(m, MAPS))],
        steps: &[
            REPAIR,
            ("another commit, so that neither copy names what was damaged", |m| note(m, 8)),
            ("install into the room that was freed", |m| go_live(m, &[&BASE, &MODEL], Action::Install)),
        ],
        damaged: MAPS,
        ..PLAIN
    },
];

pub const CREATE: Step = ("create", |m| {
    let options = CreateOptions { size: STORE_LEN, boots: true };
    Ok(Store::create_on_device(m.open(), "store", &options).map(|_| ())?)
});
pub const INSTALL: Step = ("install", |m| go_live(m, &[&BASE, &DOCS], Action::Install));
const UPGRADE_DOCS: Step = ("upgrade that shares chunks", |m| go_live(m, &[&BASE, &DOCS2], Action::Upgrade));
const UPGRADE_TOOLS: Step = ("another upgrade", |m| go_live(m, &[&BASE, &TOOLS], Action::Upgrade));
const TRIAL: Step = ("a trial", |m| try_out(m, &TOOLS, 3));
const REPAIR: Step = ("repair", repair);
const BOOT: Step = ("the loader counts a try", |m| commit_event(m, Event::BootPicked, 60));
const PROMOTE: Step = ("promotion", |m| promote(m, 2));

/// Of two layers one has a chunk to itself, and one chunk is in both.
const CHUNKS: &[Damage] = &[Damage::Chunk("base", 1), Damage::Chunk("docs", 1), Damage::Chunk("tools", 2)];
const MAPS: &[Damage] = &[Damage::Map("docs"), Damage::Map("tools"), Damage::Chunk("base", 3)];

fn go_live(medium: &Medium, layers: &[&Layer], action: Action) -> Done {
    activate(medium, layers, Activation::Live, action)
}

fn try_out(medium: &Medium, layer: &Layer, tries: u8) -> Done {
    activate(medium, &[&BASE, layer], Activation::Trial(tries), Action::Upgrade)
}

const fn candidate(slot: &Slot) -> Candidate {
    Candidate { number: slot.number, generation: slot.generation, layer_set: slot.layer_set }
}

/// A small record, in a commit of its own.
pub fn note(medium: &Medium, key: u8) -> Done {
    let mut writer = writer(medium)?;
    writer.put_record(RecordType::Repository, &[key; 32], b"{}")?;
    Ok(writer.commit(None)?)
}

/// Floors, written by init.
fn fresh_floors(medium: &Medium) -> Done {
    let mut init = init(medium)?;
    let active = init.slots().active().map(|slot| slot.generation);
    let mut floors = init.floors()?;
    floors.raise(Kind::Base, "plyos", 5)?;
    init.put_record(RecordType::Floors, &RecordType::ONLY, &floors.emit())?;
    Ok(init.commit(active)?)
}

fn half_of_a_download(medium: &Medium) -> Done {
    let mut writer = writer(medium)?;
    pull(&mut writer, &MODEL, MODEL.chunks.len() / 2)?;
    Ok(writer.commit(None)?)
}

/// Back to a former generation, which a slot may name or only the history.
fn roll_back(medium: &Medium, number: u64) -> Done {
    let mut writer = writer(medium)?;
    let former = writer.history()?.entries().find(|entry| entry.number == number).cloned();
    let generation = former.ok_or("no such generation")?.generation;
    let record = writer.record(RecordType::Generation, generation.as_bytes())?.ok_or("its record is gone")?;
    let layer_set = plyos_ids::LayerSetId::from_bytes(*blake3::hash(&record[8..]).as_bytes());
    let former = Candidate { number, generation, layer_set };
    let active = writer.slots().active().map(|slot| slot.generation);
    set_slots(&mut writer, Event::Rollback(former), 50 + number, former, Some(Action::Rollback))?;
    Ok(writer.commit(active)?)
}

/// What loader and init do: slots only.
fn commit_event(medium: &Medium, event: Event, at: u64) -> Done {
    let mut init = init(medium)?;
    let active = init.slots().active().map(|slot| slot.generation);
    let slots = init.slots().apply(event, at)?;
    init.set_slots(slots);
    Ok(init.commit(active)?)
}

/// Slots, floors and history of a promotion.
fn promote(medium: &Medium, epoch: u32) -> Done {
    let mut init = init(medium)?;
    let active = init.slots().active().copied();
    let trial = *init.slots().get(init.slots().trial().ok_or("no trial")?);
    let mut floors = init.floors()?;
    floors.raise(Kind::Base, "plyos", epoch)?;
    init.put_record(RecordType::Floors, &RecordType::ONLY, &floors.emit())?;
    let mut history = init.history()?;
    history.push(entry(candidate(&trial), active.map_or(0, |slot| slot.number), 61, Action::Promotion));
    init.put_record(RecordType::History, &RecordType::ONLY, &history.emit())?;
    let slots = init.slots().apply(Event::Promote, 61)?;
    init.set_slots(slots);
    Ok(init.commit(active.map(|slot| slot.generation))?)
}

/// Slots and the list of bad sets.
fn fail(medium: &Medium) -> Done {
    let mut init = init(medium)?;
    let active = init.slots().active().map(|slot| slot.generation);
    let trial = *init.slots().get(init.slots().trial().ok_or("no trial")?);
    let reason = BadReason::HealthCheck;
    let mut bad = init.bad_sets()?;
    bad.remember(BadEntry { layer_set: trial.layer_set, number: trial.number, at: 61, reason });
    init.put_record(RecordType::BadSets, &RecordType::ONLY, &bad.emit())?;
    let slots = init.slots().apply(Event::FailHealth(reason), 61)?;
    init.set_slots(slots);
    Ok(init.commit(active)?)
}

/// A writer has appended and not committed when init promotes; both get through.
fn promotion_during_a_download(medium: &Medium) -> Done {
    let mut writer = writer(medium)?;
    pull(&mut writer, &DOCS2, DOCS2.chunks.len())?;
    if init(medium)?.slots().trial().is_some() {
        promote(medium, 2)?;
    }
    pull(&mut writer, &MODEL, MODEL.chunks.len())?;
    Ok(writer.commit(None)?)
}

/// A plan is made, then init promotes: the plan is refused and made again.
fn promotion_between_plan_and_commit(medium: &Medium) -> Done {
    let layers = [&BASE, &MODEL];
    let mut first = writer(medium)?;
    let active = first.slots().active().map(|slot| slot.generation);
    pull(&mut first, &MODEL, MODEL.chunks.len())?;
    plan(&mut first, &layers, Activation::Live, Action::Upgrade)?;
    if init(medium)?.slots().trial().is_some() {
        promote(medium, 3)?;
    }
    match first.commit(active) {
        Err(StoreError::Changed { .. }) => {}
        other => return Ok(other?),
    }
    drop(first);
    go_live(medium, &layers, Action::Upgrade)
}

/// A mount holds generation 1 while `pkg` cleans up and installs: nothing of it may go.
fn clean_up_beside_a_mount(medium: &Medium) -> Done {
    let mount = Store::on_device(medium.open(), "store")?;
    mount.device().try_lock(LEASES + 1, LockMode::Shared)?;
    let layers = [&BASE, &DOCS].map(|layer| mount.layer(&layer.id()));
    clean_up(medium, 1, &[&DOCS])?;
    note(medium, 7)?;
    half_of_a_download(medium)?;
    for layer in layers {
        let layer: StoredLayer<Opening> = layer?.ok_or("a leased layer is gone")?;
        let index = layer.index_bytes().map_err(|error| format!("[lease] {error}"))?;
        for (record, place) in index[16..].chunks(36).zip(layer.places()) {
            let (id, len) = record.split_at(32);
            let (id, len) = (ChunkId::from_bytes(id.try_into()?), u32::from_le_bytes(len.try_into()?));
            let read = mount.read_place(place.ok_or("not whole")?, len, &id);
            read.map_err(|error| format!("[lease] a mounted generation lost a chunk: {error}"))?;
        }
    }
    Ok(mount.device().unlock(LEASES + 1)?)
}

/// Removes a generation and the layers that only it needs, unless it is leased.
fn clean_up(medium: &Medium, number: u64, layers: &[&Layer]) -> Done {
    let mut writer = writer(medium)?;
    if writer.retire(number)? {
        let former = writer.history()?.entries().find(|entry| entry.number == number).cloned();
        let generation = former.ok_or("no such generation")?.generation;
        writer.remove_record(RecordType::Generation, generation.as_bytes());
        layers.iter().for_each(|layer| writer.remove_layer(&layer.id()));
    }
    Ok(writer.commit(None)?)
}
