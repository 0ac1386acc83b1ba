//! Arbitrary software attacks: who signed, how often, and the chain of roots (sections 4.2 to 4.3, 5.3).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

#[macro_use]
mod repo;

use plyos_trust::tuf::{Held, Limits, TufError, Update};
use repo::{NOW, Repo, key_object, sign, signature};
use serde_json::{Value, json};

fn with_signatures(repo: &mut Repo, path: &str, change: impl FnOnce(&Value, &mut Vec<Value>)) {
    let mut file: Value = serde_json::from_slice(&repo.files[path]).unwrap();
    let signed = file["signed"].clone();
    change(&signed, file["signatures"].as_array_mut().unwrap());
    repo.files.insert(path.into(), serde_json::to_vec(&file).unwrap());
}

const TIMESTAMP: &str = "metadata/timestamp.json";

fn two_of_three() -> Repo {
    let mut repo = Repo::new();
    repo.seeds.insert("timestamp", vec![2, 20, 21]);
    repo.thresholds.insert("timestamp", 2);
    repo.publish_root(&[]);
    repo.publish();
    repo
}

#[test]
fn threshold_not_met() {
    let mut repo = two_of_three();
    assert!(repo.update().is_ok());
    with_signatures(&mut repo, TIMESTAMP, |_, signatures| signatures.truncate(1));
    refused!(repo.update(), "timestamp", TufError::Threshold { found: 1, needed: 2, .. });
    with_signatures(&mut repo, TIMESTAMP, |_, signatures| signatures.clear());
    refused!(repo.update(), "timestamp", TufError::Threshold { found: 0, needed: 2, .. });
}

#[test]
fn duplicate_signatures_by_one_key_count_once() {
    let mut repo = two_of_three();
    with_signatures(&mut repo, TIMESTAMP, |_, signatures| {
        signatures.truncate(1);
        signatures.push(signatures[0].clone());
        signatures.push(signatures[0].clone());
    });
    refused!(repo.update(), "timestamp", TufError::Threshold { found: 1, needed: 2, .. });
}

#[test]
fn one_key_under_two_ids_counts_once() {
    use plyos_trust::{canonical, key::to_hex};
    use sha2::Digest as _;
    let (id, object) = key_object(2);
    let mut alias = object;
    alias["x-note"] = json!("the same key again");
    let alias_id = to_hex(&sha2::Sha256::digest(canonical::to_vec(&alias).unwrap()));
    let (alias_in_root, id_in_root) = (alias_id.clone(), id);
    let mut repo = Repo::edited("root", move |signed| {
        signed["keys"][&alias_in_root] = alias.clone();
        signed["roles"]["timestamp"] = json!({"keyids": [id_in_root, alias_in_root], "threshold": 2});
    });
    with_signatures(&mut repo, TIMESTAMP, |signed, signatures| {
        let mut second = signature(signed, 2);
        second["keyid"] = json!(alias_id);
        signatures.push(second);
    });
    refused!(repo.update(), "timestamp", TufError::Threshold { found: 1, needed: 2, .. });
}

#[test]
fn key_of_an_unknown_type_is_ignored_for_the_threshold() {
    use plyos_trust::{canonical, key::to_hex};
    use sha2::Digest as _;
    let object = json!({"keytype": "sphincs", "scheme": "future", "keyval": {"public": "00"}});
    let id = to_hex(&sha2::Sha256::digest(canonical::to_vec(&object).unwrap()));
    let with = |threshold: u32| {
        let (object, id) = (object.clone(), id.clone());
        let mut repo = Repo::edited("root", move |signed| {
            signed["keys"][&id] = object.clone();
            signed["roles"]["timestamp"]["keyids"].as_array_mut().unwrap().push(json!(id));
            signed["roles"]["timestamp"]["threshold"] = json!(threshold);
        });
        let id = key_of(&repo);
        with_signatures(&mut repo, TIMESTAMP, |signed, signatures| {
            let mut other = signature(signed, 2);
            other["keyid"] = json!(id);
            signatures.push(other);
        });
        repo.update()
    };
    assert!(with(1).is_ok());
    refused!(with(2), "timestamp", TufError::Threshold { found: 1, needed: 2, .. });
}

fn key_of(repo: &Repo) -> String {
    let root: Value = serde_json::from_slice(&repo.first_root()).unwrap();
    root["signed"]["roles"]["timestamp"]["keyids"][1].as_str().unwrap().into()
}

#[test]
fn signed_by_keys_of_another_role() {
    for (role, path) in [
        ("timestamp", TIMESTAMP),
        ("snapshot", "metadata/1.snapshot.json"),
        ("targets", "metadata/1.targets.json"),
        ("package", "metadata/1.package.json"),
    ] {
        let mut repo =
            Repo::edited("timestamp", |signed| signed["meta"]["snapshot.json"] = json!({"version": 1}));
        repo.edits.insert(
            "snapshot",
            Box::new(|signed| {
                signed["meta"] = json!({"targets.json": {"version": 1}, "package.json": {"version": 1}});
            }),
        );
        repo.publish();
        assert!(repo.update().is_ok());
        with_signatures(&mut repo, path, |signed, signatures| {
            *signatures = [1, 2, 3, 4, 5]
                .into_iter()
                .filter(|seed| {
                    *seed
                        != match role {
                            "timestamp" => 2,
                            "snapshot" => 3,
                            "targets" => 4,
                            _ => 5,
                        }
                })
                .map(|seed| signature(signed, seed))
                .collect();
        });
        refused!(repo.update(), role, TufError::Threshold { found: 0, .. });
    }
}

#[test]
fn key_listed_under_an_identity_that_is_not_its_own() {
    let mut repo = Repo::new();
    let (own, _) = key_object(2);
    let (_, foreign) = key_object(66);
    repo.edits.insert("root", Box::new(move |signed| signed["keys"][&own] = foreign.clone()));
    repo.publish_root(&[]);
    assert!(matches!(repo.update(), Err(TufError::KeyId { .. })));
}

#[test]
fn threshold_of_zero_is_refused() {
    let repo = Repo::edited("root", |signed| signed["roles"]["timestamp"]["threshold"] = json!(0));
    assert!(matches!(repo.update(), Err(TufError::Malformed { .. })));
}

// The chain of roots.

#[test]
fn root_rotation_is_followed() {
    let mut repo = Repo::new();
    let before = repo.update().unwrap();
    for seed in 50..53 {
        repo.rotate(|repo| {
            repo.seeds.insert("root", vec![seed]);
        });
    }
    assert_eq!(repo.update_again(&before).unwrap().root.header().version, 4);
}

#[test]
fn root_signed_by_new_keys_only() {
    let mut repo = Repo::new();
    repo.seeds.insert("root", vec![50]);
    repo.versions.insert("root", 2);
    repo.publish_root(&[]);
    refused!(repo.update(), "root", TufError::Threshold { .. });
}

#[test]
fn root_signed_by_old_keys_only() {
    let mut repo = Repo::new();
    repo.seeds.insert("root", vec![50]);
    repo.versions.insert("root", 2);
    let file = sign(&repo.root(), &[1]);
    repo.files.insert("metadata/2.root.json".into(), file);
    refused!(repo.update(), "root", TufError::Threshold { .. });
}

#[test]
fn root_chain_with_a_gap() {
    let mut repo = Repo::new();
    repo.rotate(|_| {});
    repo.rotate(|_| {});
    let third = repo.files.remove("metadata/3.root.json").unwrap();
    repo.files.insert("metadata/2.root.json".into(), third);
    refused!(repo.update(), "root", TufError::WrongVersion { expected: 2, found: 3, .. });
    let first = repo.first_root();
    repo.files.insert("metadata/2.root.json".into(), first);
    refused!(repo.update(), "root", TufError::WrongVersion { expected: 2, found: 1, .. });
}

#[test]
fn trusted_root_that_is_damaged() {
    let repo = Repo::new();
    let mut root: Value = serde_json::from_slice(&repo.first_root()).unwrap();
    root["signed"]["version"] = json!(7);
    let result = Update::new(serde_json::to_vec(&root).unwrap(), Held::default(), NOW, Limits::default());
    refused!(result.map(|_| ()), "root", TufError::Threshold { .. });
}
