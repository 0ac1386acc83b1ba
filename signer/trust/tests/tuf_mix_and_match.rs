//! Files that do not belong together, endless data, and files that are missing or held (sections 5.4 to 5.6).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

#[macro_use]
mod repo;

use plyos_trust::tuf::{Held, Limits, Step, TufError, Update};
use repo::{HELLO, NOW, Repo, hello, run};
use serde_json::json;

#[test]
fn honest_repository_is_accepted() {
    let catalog = Repo::new().update().unwrap();
    assert_eq!(catalog.targets.len(), 2);
    let file = catalog.get(&hello()).unwrap();
    assert!(file.check(&hello(), b"hello").is_ok());
    refused!(file.check(&hello(), b"hellO"), HELLO, TufError::WrongHash { .. });
    refused!(file.check(&hello(), b"hello!"), HELLO, TufError::WrongLength { .. });
    let digest = file.sha256.to_hex();
    assert_eq!(catalog.path_of(&hello(), file), format!("targets/package/hello/1/{digest}.amd64"));
}

#[test]
fn mix_and_match_snapshot() {
    let old = Repo::new();
    let mut new = Repo::new();
    new.raise(&["snapshot", "timestamp", "package"]);
    // The old snapshot where the new one should be; with hashes the hash tells, without them the version.
    let mut mixed = Repo::new();
    mixed.files = new.files.clone();
    mixed.files.insert("metadata/2.snapshot.json".into(), old.files["metadata/1.snapshot.json"].clone());
    refused!(mixed.update(), "snapshot", TufError::WrongHash { .. });

    let mut bare =
        Repo::edited("timestamp", |signed| signed["meta"]["snapshot.json"] = json!({"version": 2}));
    bare.files.insert("metadata/2.snapshot.json".into(), old.files["metadata/1.snapshot.json"].clone());
    refused!(bare.update(), "snapshot", TufError::WrongVersion { expected: 2, found: 1, .. });
}

#[test]
fn mix_and_match_targets() {
    for role in ["targets", "package"] {
        let file = format!("{role}.json");
        let mut repo = Repo::edited("snapshot", move |signed| {
            let meta = signed["meta"][&file].as_object_mut().unwrap();
            meta.remove("hashes");
            meta.remove("length");
            meta["version"] = json!(2);
        });
        let old = repo.files[&format!("metadata/1.{role}.json")].clone();
        repo.files.insert(format!("metadata/2.{role}.json"), old);
        refused!(repo.update(), role, TufError::WrongVersion { expected: 2, found: 1, .. });
    }
}

#[test]
fn wrong_hash_and_wrong_length() {
    for role in ["snapshot", "targets", "package"] {
        let path = format!("metadata/1.{role}.json");
        let mut repo = Repo::new();
        let file = repo.files.get_mut(&path).unwrap();
        *file.last_mut().unwrap() = b' ';
        refused!(repo.update(), role, TufError::WrongHash { .. });
        let mut repo = Repo::new();
        repo.files.get_mut(&path).unwrap().pop();
        refused!(repo.update(), role, TufError::WrongLength { .. });
    }
}

// Endless data attacks.

#[test]
fn endless_data_of_each_role() {
    for role in ["root", "timestamp", "snapshot", "targets", "package"] {
        let mut repo = Repo::new();
        if role == "root" {
            repo.rotate(|_| {});
        }
        let path = match role {
            "timestamp" => "metadata/timestamp.json".into(),
            "root" => "metadata/2.root.json".into(),
            other => format!("metadata/1.{other}.json"),
        };
        let mut update = Update::new(repo.first_root(), Held::default(), NOW, Limits::default()).unwrap();
        let limit = loop {
            match update.next() {
                Step::Fetch { path: wanted, max_len, .. } if wanted == path => break max_len,
                Step::Fetch { path: wanted, .. } => update.supply(repo.files.get(&wanted).cloned()).unwrap(),
                Step::Done(_) => panic!("{role} was never wanted"),
            }
        };
        let endless = vec![b' '; usize::try_from(limit).unwrap() + 1];
        repo.files.insert(path, endless);
        refused!(repo.update(), role, TufError::TooLong { .. });
    }
}

#[test]
fn file_without_a_hash_is_read_up_to_a_smaller_bound() {
    let repo = Repo::edited("snapshot", |signed| {
        signed["meta"]["targets.json"].as_object_mut().unwrap().remove("hashes");
        signed["meta"]["targets.json"]["length"] = json!(1 << 30);
    });
    let mut update = Update::new(repo.first_root(), Held::default(), NOW, Limits::default()).unwrap();
    update.supply(None).unwrap();
    for path in ["metadata/timestamp.json", "metadata/1.snapshot.json"] {
        update.supply(repo.files.get(path).cloned()).unwrap();
    }
    let Step::Fetch { max_len, .. } = update.next() else { panic!() };
    assert_eq!(max_len, Limits::default().unhashed_len);
}

#[test]
fn endless_root_chain_ends_at_the_limit() {
    let mut repo = Repo::new();
    for _ in 0..5 {
        repo.rotate(|_| {});
    }
    let limits = Limits { root_versions: 3, ..Limits::default() };
    let mut update = Update::new(repo.first_root(), Held::default(), NOW, limits).unwrap();
    let catalog = run(&mut update, &repo.files).unwrap();
    assert_eq!(catalog.root.header().version, 4, "the next update goes on from here");
    assert_eq!(repo.update_again(&catalog).unwrap().root.header().version, 6);
}

#[test]
fn too_many_delegations() {
    let repo = Repo::edited("targets", |signed| {
        let roles = signed["delegations"]["roles"].as_array_mut().unwrap();
        let template = roles[0].clone();
        roles.extend((0..32).map(|number| {
            let mut role = template.clone();
            role["name"] = json!(format!("r{number}"));
            role
        }));
    });
    assert_eq!(repo.update(), Err(TufError::TooManyDelegations { found: 33, limit: 32 }));
}

// What is missing, and what is held.

#[test]
fn missing_files() {
    let repo = Repo::new();
    for path in repo.files.keys().filter(|path| !path.contains("root")) {
        let mut files = repo.files.clone();
        files.remove(path);
        let mut update = Update::new(repo.first_root(), Held::default(), NOW, Limits::default()).unwrap();
        assert_eq!(run(&mut update, &files), Err(TufError::Missing { path: path.clone() }));
    }
}

#[test]
fn held_files_that_nobody_signed_are_fetched_again() {
    let repo = Repo::new();
    let before = repo.update().unwrap();
    for role in ["timestamp", "snapshot", "targets", "package"] {
        let mut files = before.files.clone();
        let text = String::from_utf8(files[role].clone()).unwrap();
        files.insert(role.into(), text.replace("\"version\":1", "\"version\":9").into_bytes());
        assert_eq!(repo.update_from(repo.first_root(), Held::from_files(files)).unwrap(), before, "{role}");
    }
}

#[test]
fn supplying_after_the_end_is_refused() {
    let repo = Repo::new();
    let mut update = Update::new(repo.first_root(), Held::default(), NOW, Limits::default()).unwrap();
    run(&mut update, &repo.files).unwrap();
    assert_eq!(update.supply(None), Err(TufError::NotAsked));
    assert!(matches!(update.next(), Step::Done(_)), "asking again changes nothing");
}
