//! Delegations and the form of documents (sections 4.3 to 4.6, 5.6.7).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

#[macro_use]
mod repo;

use plyos_trust::tuf::{TargetName, TufError};
use repo::{HELLO, NOW, Repo, hello, sign, target};
use serde_json::{Value, json};

#[test]
fn delegated_role_that_names_targets_outside_its_pattern() {
    let repo = Repo::edited("package", |signed| {
        signed["targets"] = json!({
            HELLO: target(b"hello"),
            "base/system/1/amd64": target(b"mine"),
            "package/deep/1/amd64/x": target(b"mine"),
            "keyring": target(b"mine"),
        });
    });
    let catalog = repo.update().unwrap();
    let names: Vec<&str> = catalog.targets.keys().map(TargetName::as_str).collect();
    assert_eq!(names, ["keyring", HELLO]);
    let keyring = &catalog.targets[&TargetName::parse("keyring").unwrap()];
    assert!(keyring.check(&hello(), b"keyring").is_ok(), "the top-level role's, not the delegated one's");
}

#[test]
fn first_delegation_wins_and_a_terminating_one_ends_the_search() {
    for (terminating, expected) in [(false, 2), (true, 1)] {
        let repo = Repo::edited("targets", move |signed| {
            let roles = signed["delegations"]["roles"].as_array_mut().unwrap();
            roles[0]["terminating"] = json!(terminating);
            let mut second = roles[0].clone();
            second["name"] = json!("second");
            roles.push(second);
        });
        let mut repo = repo;
        let other = json!({
            "_type": "targets", "spec_version": "1.0.34", "version": 1, "expires": "2100-01-01T00:00:00Z",
            "targets": {HELLO: target(b"other"), "package/more/1/amd64": target(b"more")},
        });
        repo.files.insert("metadata/1.second.json".into(), sign(&other, &[5]));
        repo.edits
            .insert("snapshot", Box::new(|signed| signed["meta"]["second.json"] = json!({"version": 1})));
        repo.publish();
        let catalog = repo.update().unwrap();
        assert!(catalog.get(&hello()).unwrap().check(&hello(), b"hello").is_ok());
        let packages = catalog.targets.keys().filter(|name| name.as_str().starts_with("package/")).count();
        assert_eq!(packages, expected, "terminating: {terminating}");
    }
}

#[test]
fn delegation_by_hash_prefix() {
    use sha2::Digest as _;
    let digits = plyos_trust::key::to_hex(&sha2::Sha256::digest(HELLO));
    for (prefix, found) in [(digits[..2].to_string(), true), ("zz".into(), false)] {
        let repo = Repo::edited("targets", move |signed| {
            let role = signed["delegations"]["roles"][0].as_object_mut().unwrap();
            role.remove("paths");
            role.insert("path_hash_prefixes".into(), json!([prefix]));
        });
        assert_eq!(repo.update().unwrap().get(&hello()).is_some(), found);
    }
}

#[test]
fn delegated_role_that_would_take_the_place_of_another_file() {
    for name in ["root", "timestamp", "../package", "Package", ""] {
        let repo = Repo::edited("targets", move |signed| {
            signed["delegations"]["roles"][0]["name"] = json!(name);
        });
        assert!(matches!(repo.update(), Err(TufError::Malformed { .. })), "{name}");
    }
    let repo = Repo::edited("targets", |signed| {
        let roles = signed["delegations"]["roles"].as_array_mut().unwrap();
        roles.push(roles[0].clone());
    });
    assert!(matches!(repo.update(), Err(TufError::Malformed { .. })), "two of one name");
}

#[test]
fn target_names_that_lead_out_of_the_folder() {
    for name in ["/etc/passwd", "../x", "package/../../x/y", "package//1/amd64", "a\\b", "a b", "a%2fb", ""] {
        let repo = Repo::edited("targets", move |signed| signed["targets"] = json!({name: target(b"x")}));
        assert!(matches!(repo.update(), Err(TufError::TargetName { .. })), "{name}");
    }
}

// Documents.

#[test]
fn wrong_spec_version() {
    for role in ["root", "timestamp", "snapshot", "targets", "package"] {
        for version in ["2.0.0", "0.9", "1", "1.0.x", "11.0.0", ""] {
            let repo = Repo::edited(role, move |signed| signed["spec_version"] = json!(version));
            refused!(repo.update(), role, TufError::SpecVersion { .. });
        }
        let repo = Repo::edited(role, |signed| signed["spec_version"] = json!("1.0"));
        assert!(repo.update().is_ok());
    }
}

#[test]
fn wrong_type() {
    for role in ["root", "timestamp", "snapshot", "targets", "package"] {
        let repo = Repo::edited(role, |signed| signed["_type"] = json!("mirrors"));
        refused!(repo.update(), role, TufError::WrongType { .. });
    }
}

#[test]
fn members_of_a_wrong_form() {
    let cases: [(&'static str, &'static str, Value); 11] = [
        ("root", "/version", json!(0)),
        ("root", "/consistent_snapshot", json!("yes")),
        ("root", "/roles/snapshot", json!(null)),
        ("timestamp", "/version", json!("1")),
        ("timestamp", "/expires", json!("2100-01-01")),
        ("timestamp", "/meta/snapshot.json/version", json!(-1)),
        ("timestamp", "/meta/snapshot.json/hashes", json!({"md5": "00"})),
        ("snapshot", "/meta/targets.json/length", json!("9")),
        ("targets", "/targets/keyring/length", json!(null)),
        ("targets", "/targets/keyring/hashes/sha256", json!("AA")),
        ("targets", "/delegations/roles/0/paths", json!("package/*")),
    ];
    for (role, pointer, value) in cases {
        let shown = format!("{role}{pointer}");
        let repo = Repo::edited(role, move |signed| *signed.pointer_mut(pointer).unwrap() = value.clone());
        assert!(matches!(repo.update(), Err(TufError::Malformed { .. })), "{shown}: {:?}", repo.update());
    }
}

#[test]
fn unknown_members_are_signed_and_ignored() {
    let repo = Repo::edited("targets", |signed| signed["x-future"] = json!({"a": ["\n", null, -1]}));
    assert!(repo.update().is_ok());
    let repo =
        Repo::edited("timestamp", |signed| signed["x-plyos-signed-at"] = json!("2027-01-15T08:00:00Z"));
    assert_eq!(repo.update().unwrap().signed_at, Some(NOW));
    let repo = Repo::edited("timestamp", |signed| signed["x-plyos-signed-at"] = json!(NOW));
    assert!(matches!(repo.update(), Err(TufError::Malformed { .. })));
}

#[test]
fn without_consistent_snapshots_names_have_no_prefix() {
    let mut repo = Repo::edited("root", |signed| {
        signed.as_object_mut().unwrap().remove("consistent_snapshot");
    });
    for role in ["snapshot", "targets", "package"] {
        let file = repo.files.remove(&format!("metadata/1.{role}.json")).unwrap();
        repo.files.insert(format!("metadata/{role}.json"), file);
    }
    let catalog = repo.update().unwrap();
    assert_eq!(catalog.path_of(&hello(), catalog.get(&hello()).unwrap()), format!("targets/{HELLO}"));
}
