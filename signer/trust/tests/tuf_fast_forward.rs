//! Fast-forward attacks, and how a repository recovers from them (section 5.3.11).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

#[macro_use]
mod repo;

use plyos_trust::tuf::{Held, Limits, TufError, Update};
use repo::{NOW, Repo};

fn fast_forwarded() -> (Repo, plyos_trust::tuf::Catalog) {
    let mut repo = Repo::new();
    for role in ["timestamp", "snapshot", "targets", "package"] {
        repo.versions.insert(role, u64::from(u32::MAX));
    }
    repo.publish();
    let before = repo.update().unwrap();
    for role in ["timestamp", "snapshot", "targets", "package"] {
        repo.versions.insert(role, 2);
    }
    (repo, before)
}

#[test]
fn fast_forward_recovery_by_rotating_timestamp_or_snapshot_keys() {
    for role in ["timestamp", "snapshot"] {
        let (mut repo, before) = fast_forwarded();
        repo.publish();
        refused!(repo.update_again(&before), "timestamp", TufError::Rollback { .. });
        repo.rotate(|repo| {
            repo.seeds.insert(role, vec![40]);
        });
        repo.publish();
        let after = repo.update_again(&before).unwrap();
        assert_eq!(after.timestamp.header().version, 2, "{role}");
    }
}

#[test]
fn fast_forward_recovery_when_keys_were_changed_and_changed_back() {
    let (mut repo, before) = fast_forwarded();
    repo.rotate(|repo| {
        repo.seeds.insert("snapshot", vec![40]);
    });
    repo.rotate(|repo| {
        repo.seeds.insert("snapshot", vec![3]);
    });
    repo.publish();
    assert_eq!(repo.update_again(&before).unwrap().snapshot.header().version, 2);
}

#[test]
fn fast_forward_recovery_survives_an_update_that_was_cut_off() {
    let (mut repo, before) = fast_forwarded();
    repo.rotate(|repo| {
        repo.seeds.insert("timestamp", vec![2, 40]);
    });
    repo.publish();
    let held = Held::from_files(before.files.clone());
    let mut update = Update::new(before.files["root"].clone(), held, NOW, Limits::default()).unwrap();
    update.supply(repo.files.get("metadata/2.root.json").cloned()).unwrap();
    let mut kept = update.trusted_files();
    assert!(!kept.contains_key("timestamp") && !kept.contains_key("snapshot"), "5.3.11");
    let root = kept.remove("root").unwrap();
    assert_eq!(root, repo.files["metadata/2.root.json"]);
    let after = repo.update_from(root, Held::from_files(kept)).unwrap();
    assert_eq!(after.timestamp.header().version, 2);
}

#[test]
fn other_rotations_do_not_forget_the_timestamp() {
    let (mut repo, before) = fast_forwarded();
    repo.rotate(|repo| {
        repo.seeds.insert("targets", vec![40]);
    });
    repo.publish();
    refused!(repo.update_again(&before), "timestamp", TufError::Rollback { .. });
}
