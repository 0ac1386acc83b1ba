//! Who may do what at the same time.

use std::time::Duration;

use plyos_blockstore::{Action, Floors, History, HistoryEntry, RecordType};
use plyos_ids::{Codec, GenerationId, Kind};
use plyos_slots::{Event, SlotState};
use plyos_storefile::{Store, StoreError};

use crate::fixture::*;

fn store() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    Store::create(&path, &options(4 << 20)).unwrap();
    (folder, path)
}

#[test]
fn a_second_writer_is_told_that_the_store_is_busy() {
    let (_folder, path) = store();
    let first = Store::writer(&path, Duration::ZERO).unwrap();
    let start = std::time::Instant::now();
    let error = Store::writer(&path, Duration::from_millis(60)).err().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert!(matches!(error, StoreError::Busy { .. }) && error.to_string().contains("writer lock"), "{error}");
    Store::open(&path).unwrap();
    drop(first);
    Store::writer(&path, Duration::ZERO).unwrap();
}

#[test]
fn a_writer_that_waits_gets_its_turn() {
    let (_folder, path) = store();
    let first = Store::writer(&path, Duration::ZERO).unwrap();
    let thread = std::thread::spawn(move || Store::writer(&path, Duration::from_secs(30)).map(|_| ()));
    std::thread::sleep(Duration::from_millis(50));
    drop(first);
    thread.join().unwrap().unwrap();
}

#[test]
fn a_leased_generation_is_not_retired_and_a_retired_one_is_released_by_the_commit() {
    let (_folder, path) = store();
    let mut writer = Store::writer(&path, Duration::ZERO).unwrap();
    let lease = Store::open(&path).unwrap().lease(5).unwrap();
    let shared = Store::open(&path).unwrap().lease(5).unwrap();
    assert_eq!(lease.number, 5);
    assert!(!writer.retire(5).unwrap());
    assert!(writer.retire(6).unwrap());
    drop(lease);
    assert!(!writer.retire(5).unwrap(), "the second lease still holds");
    drop(shared);
    assert!(writer.retire(5).unwrap());

    let (sender, receiver) = std::sync::mpsc::channel();
    let waiting = path.clone();
    let thread = std::thread::spawn(move || {
        let lease = Store::open(&waiting).unwrap().lease(5).unwrap();
        sender.send(()).unwrap();
        lease.number
    });
    assert!(
        receiver.recv_timeout(Duration::from_millis(100)).is_err(),
        "retired: no lease before the commit"
    );
    writer.commit(None).unwrap();
    receiver.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(thread.join().unwrap(), 5);
    assert!(matches!(Store::open(&path).unwrap().lease(u64::MAX), Err(StoreError::Invalid { .. })));
}

#[test]
fn a_promotion_does_not_wait_for_a_download_nor_spoil_it() {
    let (_folder, path) = store();
    let mut first = Store::writer(&path, Duration::ZERO).unwrap();
    let good = activate(&mut first);
    first.commit(None).unwrap();
    let new = candidate(&mut first);
    let slots = first.slots().apply(Event::ActivateTrial(new, 3), 2).unwrap();
    first.set_slots(slots);
    first.commit(Some(good)).unwrap();

    // A download goes on: chunks are appended, nothing is committed.
    let chunks: Vec<Vec<u8>> = (1..=40).map(|seed| noise(seed, 30_000)).collect();
    let places: Vec<_> =
        chunks.iter().map(|bytes| Some(first.append_chunk(Codec::Raw, bytes).unwrap())).collect();
    for version in 1..=5 {
        let mut init = Store::slot_writer(&path).unwrap();
        let mut floors = Floors::default();
        floors.raise(Kind::Base, "plyos", version).unwrap();
        init.put_record(RecordType::Floors, &RecordType::ONLY, &floors.emit()).unwrap();
        let active = init.slots().active().map(|slot| slot.generation);
        if let Ok(slots) = init.slots().apply(Event::Promote, 3) {
            init.set_slots(slots);
        }
        init.commit(active).unwrap();
    }
    let id = put_places(&mut first, 99, &places);
    first.commit(None).unwrap();

    let store = Store::open(&path).unwrap();
    assert_eq!(
        store.floors().unwrap().get(Kind::Base, "plyos"),
        5,
        "the download keeps what the promotion wrote"
    );
    assert_eq!(
        store.slots().active().map(|slot| (slot.number, slot.state)),
        Some((new.number, SlotState::Good))
    );
    let layer = store.layer(&id).unwrap().unwrap();
    for (chunk, place) in chunks.iter().zip(layer.places()) {
        assert_eq!(&store.read_place(place.unwrap(), 30_000, &chunk_id(chunk)).unwrap(), chunk);
    }
}

#[test]
fn a_plan_that_was_made_from_another_state_is_refused() {
    let (_folder, path) = store();
    let mut first = Store::writer(&path, Duration::ZERO).unwrap();
    let good = activate(&mut first);
    first.commit(None).unwrap();
    // The active generation is another than the plan was made from.
    let second = activate(&mut first);
    let error = first.commit(None).unwrap_err();
    assert!(matches!(error, StoreError::Changed { active: Some(active), .. } if active == good), "{error}");
    first.commit(Some(good)).unwrap();
    // The slots are others, though the active generation is the same.
    let trial = candidate(&mut first);
    let slots = first.slots().apply(Event::ActivateTrial(trial, 3), 2).unwrap();
    first.set_slots(slots);
    first.commit(Some(second)).unwrap();
    let mut init = Store::slot_writer(&path).unwrap();
    let slots = init.slots().apply(Event::BootPicked, 3).unwrap();
    init.set_slots(slots);
    init.commit(Some(second)).unwrap();
    activate(&mut first);
    let error = first.commit(Some(second)).unwrap_err();
    assert!(matches!(error, StoreError::Changed { active: None, .. }), "{error}");
    first.discard();
    let slots = *Store::open(&path).unwrap().slots();
    assert_eq!(slots.get(slots.spare()).state, SlotState::Trial { left: 2, granted: 3 });
}

/// Init goes to the other slot and back within one second: the slots look untouched, the history does not.
#[test]
fn slots_that_went_there_and_back_do_not_hide_what_was_recorded_on_the_way() {
    let (_folder, path) = store();
    let entry = |number| HistoryEntry {
        number,
        from: 0,
        at: 1,
        generation: GenerationId::default(),
        action: Action::Promotion,
        command: String::from("init"),
    };
    let record = |history: &History| history.emit();
    let mut pkg = Store::writer(&path, Duration::ZERO).unwrap();
    let good = activate(&mut pkg);
    let mut history = History::default();
    history.push(entry(1));
    pkg.put_record(RecordType::History, &RecordType::ONLY, &record(&history)).unwrap();
    pkg.commit(None).unwrap();
    // `pkg` plans: a generation, and a history that ends with it.
    let mut planned = pkg.history().unwrap();
    planned.push(entry(2));
    activate(&mut pkg);
    pkg.put_record(RecordType::History, &RecordType::ONLY, &record(&planned)).unwrap();
    // Init has been elsewhere and is back: only its entries tell.
    let mut init = Store::slot_writer(&path).unwrap();
    let mut went = init.history().unwrap();
    went.push(entry(7));
    went.push(entry(1));
    init.put_record(RecordType::History, &RecordType::ONLY, &record(&went)).unwrap();
    init.commit(Some(good)).unwrap();
    let error = pkg.commit(Some(good)).unwrap_err();
    assert!(matches!(error, StoreError::Changed { active: None, .. }), "{error}");
    pkg.remove_record(RecordType::History, &RecordType::ONLY);
    let error = pkg.commit(Some(good)).unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "nor is it taken away unseen: {error}");
    let numbers: Vec<u64> =
        Store::open(&path).unwrap().history().unwrap().entries().map(|entry| entry.number).collect();
    assert_eq!(numbers, [1, 7, 1]);
}

#[test]
fn numbers_are_never_given_twice() {
    let (_folder, path) = store();
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let mut writer = Store::writer(&path, Duration::ZERO).unwrap();
        numbers.extend([writer.take_generation_number(), writer.take_generation_number()]);
        writer.commit(None).unwrap();
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_slot_cannot_name_a_generation_without_a_record() {
    let (_folder, path) = store();
    let mut writer = Store::writer(&path, Duration::ZERO).unwrap();
    let good = activate(&mut writer);
    writer.remove_record(RecordType::Generation, good.as_bytes());
    assert!(matches!(writer.commit(None), Err(StoreError::Invalid { .. })));
    writer.discard();
    let good = activate(&mut writer);
    writer.commit(None).unwrap();
    writer.remove_record(RecordType::Generation, good.as_bytes());
    assert!(matches!(writer.commit(None), Err(StoreError::Invalid { .. })), "nor can its record go");
    let wrong = writer.put_record(RecordType::Generation, &[1; 32], b"bytes");
    assert!(matches!(wrong, Err(StoreError::Invalid { .. })), "nor stand under another identity");
}
