//! The Python package oras: pushes in one piece and in chunks, pulls, attaches, discovers, deletes.

use crate::server::{Server, has, text};
use plyos_test_system::trees::noise;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn pushes_attaches_discovers_and_deletes() {
    story(Server::open);
}

#[test]
fn does_so_with_a_login() {
    story(Server::with_login);
}

/// A Python that has oras; the set-up's script makes it once. `None`, and why, where pip cannot fetch it.
fn python() -> Option<PathBuf> {
    if !has(&["python3"]) {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../setup/oras.sh");
    // With the whole environment: where pip's index is, the machine knows.
    let made = Command::new("bash").arg(script).output().unwrap();
    if made.status.success() {
        return Some(String::from_utf8(made.stdout).unwrap().trim().into());
    }
    eprintln!("oras for Python cannot be had: skipped: {}", String::from_utf8_lossy(&made.stderr));
    None
}

fn story(start: fn() -> Server) {
    let Some(python) = python() else { return };
    let server = start();
    let folder = server.beside("work");
    fs::create_dir(&folder).unwrap();
    // Three chunks, the last one short.
    let artifact = noise(7, (2 << 20) + 17);
    fs::write(folder.join("artifact"), &artifact).unwrap();
    fs::write(folder.join("signature"), "signed\n").unwrap();
    let (user, password) = server.login().unwrap_or_default();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/with_oras.py");
    let seen =
        server.client(text(&python), &[script, &server.address(), user, password, text(&folder)]).json();

    let files: Vec<_> = seen["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert_eq!(files.len(), 2, "{seen}");
    for file in files {
        assert!(fs::read(file).unwrap() == artifact, "{file} is not what was pushed");
    }
    let digest = &seen["subject"][0];
    assert_eq!(seen["subject"][1], *digest, "OCI-Subject: the registry keeps referrers itself");
    let referrers = seen["referrers"]["manifests"].as_array().unwrap();
    assert_eq!(referrers.len(), 1, "{seen}");
    assert_eq!(referrers[0]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(seen["filtered"], serde_json::json!([[], "artifactType"]));
    assert_eq!(seen["tags"], serde_json::json!(["1", "chunked", "signature"]));
    assert_eq!(seen["left"], serde_json::json!([]));
    assert_eq!(seen["tags left"], serde_json::json!(["1", "chunked"]));
}
