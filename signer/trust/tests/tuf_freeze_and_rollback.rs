//! Old metadata: freeze attacks and rollback attacks (specification, sections 5.3.10, 5.4.3 to 5.4.4, 5.5.5 to 5.5.6, 5.6.5).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

#[macro_use]
mod repo;

use plyos_trust::tuf::{Held, Limits, TufError, Update};
use repo::{DAY, NOW, Repo, run};

#[test]
fn expired_metadata_of_each_role() {
    for role in ["root", "timestamp", "snapshot", "targets", "package"] {
        let mut repo = Repo::new();
        // At the very second it is expired: the expiry "MUST be higher than the fixed update start time".
        repo.expires.insert(role, NOW);
        repo.publish_root(&[]);
        repo.publish();
        refused!(repo.update(), role, TufError::Expired { at: NOW, .. });
    }
}

#[test]
fn expired_metadata_that_is_held_is_not_used() {
    for role in ["snapshot", "targets", "package"] {
        let mut repo = Repo::new();
        repo.expires.insert(role, NOW + 10);
        repo.publish();
        let before = repo.update().unwrap();
        let held = Held::from_files(before.files.clone());
        let mut update = Update::new(repo.first_root(), held, NOW + 10, Limits::default()).unwrap();
        refused!(run(&mut update, &repo.files), role, TufError::Expired { .. });
    }
}

#[test]
fn expired_timestamp_of_the_version_that_is_held() {
    let repo = Repo::new();
    let before = repo.update().unwrap();
    let held = Held::from_files(before.files);
    // The root lives on; everything else has ended.
    let mut long = Repo::new();
    long.expires.insert("root", NOW + 9 * DAY);
    long.publish_root(&[]);
    let mut update = Update::new(long.first_root(), held, NOW + 2 * DAY, Limits::default()).unwrap();
    refused!(run(&mut update, &repo.files), "timestamp", TufError::Expired { .. });
}

#[test]
fn expired_root_in_the_middle_of_the_chain_does_not_matter() {
    let mut repo = Repo::new();
    repo.expires.insert("root", NOW - DAY);
    repo.publish_root(&[]);
    repo.rotate(|repo| {
        repo.expires.insert("root", NOW + DAY);
    });
    assert_eq!(repo.update().unwrap().root.header().version, 2);
}

#[test]
fn rollback_of_the_timestamp() {
    let mut repo = Repo::new();
    repo.raise(&["timestamp"]);
    let before = repo.update().unwrap();
    repo.versions.insert("timestamp", 1);
    repo.publish();
    let error = TufError::Rollback { role: "timestamp".into(), trusted: 2, offered: 1 };
    assert_eq!(repo.update_again(&before), Err(error));
}

#[test]
fn rollback_of_the_snapshot() {
    let mut repo = Repo::new();
    repo.raise(&["snapshot"]);
    let before = repo.update().unwrap();
    repo.versions.insert("snapshot", 1);
    repo.raise(&["timestamp"]);
    refused!(repo.update_again(&before), "snapshot", TufError::Rollback { trusted: 2, offered: 1, .. });
}

#[test]
fn rollback_of_targets_and_of_a_delegated_role() {
    for role in ["targets", "package"] {
        let mut repo = Repo::new();
        repo.raise(&[role]);
        let before = repo.update().unwrap();
        repo.versions.insert(role, 1);
        repo.raise(&["snapshot", "timestamp"]);
        refused!(repo.update_again(&before), role, TufError::Rollback { trusted: 2, offered: 1, .. });
        assert!(repo.update().is_ok(), "nobody who comes anew can see it");
    }
}

#[test]
fn role_dropped_from_the_snapshot() {
    let repo = Repo::new();
    let before = repo.update().unwrap();
    let mut after = Repo::new();
    after.edits.insert(
        "snapshot",
        Box::new(|signed| {
            signed["meta"].as_object_mut().unwrap().remove("package.json");
        }),
    );
    after.raise(&["snapshot", "timestamp"]);
    assert_eq!(after.update_again(&before), Err(TufError::Dropped { role: "package".into() }));
    assert_eq!(after.update(), Err(TufError::Unlisted { role: "package".into() }));
}

#[test]
fn same_timestamp_version_with_other_content_changes_nothing() {
    let repo = Repo::new();
    let before = repo.update().unwrap();
    let mut forked = Repo::new();
    forked.raise(&["snapshot", "package"]);
    let again = forked.update_again(&before).unwrap();
    assert_eq!(again, before, "the new timestamp is discarded, the trusted one is used");
}
