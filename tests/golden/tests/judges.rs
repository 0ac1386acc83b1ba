//! Others judge the committed files: GNU tar, zstd, and readers of this project that had no part in making them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use plyos_custody::keys::{self, Role};
use plyos_custody::repository::{InitOptions, Workspace};
use plyos_custody::{SecretKey, Signer as _};
use plyos_ids::{Kind, LayerId};
use plyos_layer_format::index::layer_id;
use plyos_layer_format::pages::PageHashes;
use plyos_storefile::{RecordType, RecordingDevice, Store};
use plyos_test_golden::catalog::{Keys, first_root, published};
use plyos_test_golden::fixed::{NOW, key};
use plyos_test_golden::trust::{LAYER_KEYS, ROOT_KEYS};
use plyos_test_golden::{all, blob, built, committed, image, layer, listing, tree};
use plyos_trust::certificate::Certificate;
use plyos_trust::custom::LayerCustom;
use plyos_trust::key::to_hex;
use plyos_trust::keyring::{self, Keyring};
use plyos_trust::tuf::{Held, Limits, Step, TargetName, Update};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn golden(name: &str) -> Vec<u8> {
    let golden = all().into_iter().find(|golden| golden.name == name).unwrap();
    golden.bytes_of(&committed().unwrap()[name]).unwrap()
}

/// Runs a tool, unless foreign tools are to be left out. A missing one is a failure.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    if std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|value| value == "1") {
        return None;
    }
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot run {program} ({error}): install it or set PLYOS_SKIP_FOREIGN=1")
        });
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    Some(output)
}

/// What a tool says that must take all of its input.
fn judge(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let output = run(program, arguments, input)?;
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// Lines with runs of spaces joined: tar aligns its columns.
fn joined(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines()
        .map(|line| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn gnu_tar_lists_the_stream_as_the_index_does() {
    let Some(listed) = judge("tar", listing::TAR_ARGUMENTS, &golden("canonical-stream.tar")) else { return };
    assert_eq!(joined(&listed), joined(&golden("canonical-stream.listing.txt")));
}

#[test]
fn gnu_tar_reads_the_size_in_pax() {
    // tar fails then, for the 8 GiB are missing.
    let Some(output) = run("tar", listing::TAR_ARGUMENTS, &golden("header-of-8-gib.bin")) else { return };
    assert_eq!(joined(&output.stdout), ["-rw-r--r-- 0/0 8589934592 2020-01-01 00:00:00 large"]);
}

#[test]
fn zstd_decompresses_the_blob_to_the_stream() {
    let blob = golden("blob.hex");
    assert!(blob::stream_of(&blob).unwrap() == golden("canonical-stream.tar"));
    let Some(stream) = judge("zstd", &["-dc"], &blob) else { return };
    assert!(stream == golden("canonical-stream.tar"), "zstd finds another stream in the blob");
}

#[test]
fn the_blob_of_the_zstd_library_holds_the_pinned_layer() {
    let mut blob = Vec::new();
    let built = built::built(&mut blob).unwrap();
    assert!(built.index == golden("built-layer-index.hex"));
    let stream = blob::stream_of(&blob).unwrap();
    assert_eq!(Sha256::digest(&stream)[..], built.diff_sha256.as_bytes()[..]);
    let Some(found) = judge("zstd", &["-dc"], &blob) else { return };
    assert!(found == stream, "zstd finds another stream in the blob");
}

#[test]
fn the_index_of_several_pages_has_two_of_entries_and_each_page_verifies_alone() {
    let index = golden("layer-index-pages.hex");
    let header = *tree::open(&index).unwrap().header();
    assert_eq!((header.head_pages, header.entry_pages), (1, 2));
    assert!(header.chunk_count > 3, "{header:?}");
    let (id, hashes) = (layer_id(&index), PageHashes::compute(&index));
    assert!(hashes.verify_root(index.len() as u32 / 16_384, &id));
    assert!((0u32..).zip(index.chunks(16_384)).all(|(number, page)| hashes.check(number, page, &id)));
    // The first page of entries ended by content: the next record would have fitted.
    let used = u32::from_le_bytes(index[16_384 + 4..16_384 + 8].try_into().unwrap());
    assert!((8_192..16_000).contains(&used), "{used}");
}

#[test]
fn chunks_hash_to_their_identities() {
    let stream = golden("canonical-stream.tar");
    let mut rest = &stream[..];
    for chunk in tree::take_apart(&golden("layer-index.hex")).unwrap().chunks {
        let (bytes, later) = rest.split_at(chunk.length as usize);
        assert_eq!(blake3::hash(bytes).as_bytes(), chunk.id.as_bytes());
        rest = later;
    }
    assert!(rest.is_empty());
    assert_eq!(
        tree::open(&golden("layer-index.hex")).unwrap().descriptor().emit(),
        golden("descriptor.json")
    );
}

#[test]
fn config_and_manifest_name_the_other_files() {
    let (manifest, config) = (golden("oci-manifest.json"), golden("oci-config.json"));
    let digest = |bytes: &[u8]| json!(format!("sha256:{}", to_hex(&Sha256::digest(bytes))));
    let found: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(found["config"]["digest"], digest(&config));
    assert_eq!(found["config"]["size"], config.len());
    assert_eq!(found["layers"][0]["digest"], digest(&golden("blob.hex")));
    assert_eq!(found["layers"][0]["size"], golden("blob.hex").len());
    let annotations = String::from_utf8(golden("annotations.txt")).unwrap();
    let annotations: Value = annotations.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(found["layers"][0]["annotations"], annotations);
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&golden("canonical-stream.tar"))]));
}

#[test]
fn signatures_cover_what_the_format_page_says() {
    let bytes = golden("certificate.bin");
    let message = [b"plyos-certificate-v1\0", &bytes[32..88]].concat();
    for signature in Certificate::parse(&bytes).unwrap().signatures.iter() {
        let signer = LAYER_KEYS.iter().map(|seed| key(*seed).unwrap());
        let signer = signer.into_iter().find(|key| key.public().key_id() == signature.key_id).unwrap();
        signer.public().verify(&message, &signature.bytes).unwrap();
    }
    let bytes = golden("keyring.bin");
    let signed_len = u32::from_le_bytes(bytes[48..52].try_into().unwrap()) as usize;
    let message = [b"plyos-keyring-v1\0", &bytes[32..32 + signed_len]].concat();
    for signature in Keyring::parse(&bytes).unwrap().signatures().iter() {
        let signer = ROOT_KEYS.iter().map(|seed| key(*seed).unwrap());
        let signer = signer.into_iter().find(|key| key.public().key_id() == signature.key_id).unwrap();
        signer.public().verify(&message, &signature.bytes).unwrap();
    }
}

#[test]
fn the_keyring_accepts_the_certificate() {
    let keyring = Keyring::parse(&golden("keyring.bin")).unwrap();
    let roots = ROOT_KEYS.map(|seed| *key(seed).unwrap().public());
    let keyring = keyring::verify(&keyring, &roots, 2).unwrap();
    let certificate = Certificate::parse(&golden("certificate.bin")).unwrap();
    let layer = layer_id(&golden("layer-index.hex"));
    assert_eq!(keyring.accept(&certificate, layer, Kind::Package, "sample", 3).unwrap().epoch, 3);
    assert!(
        keyring.accept(&certificate, layer, Kind::Package, "other", 3).is_err(),
        "no key has this prefix"
    );
    assert!(keyring.accept(&certificate, layer, Kind::Site, "sample", 3).is_err(), "no key has this kind");
}

#[test]
fn a_client_accepts_the_catalog() {
    let mut server = published().unwrap();
    // The committed files stand in for those that were published now.
    for (name, path) in [
        ("tuf-root.json", "metadata/1.root.json"),
        ("tuf-timestamp.json", "metadata/timestamp.json"),
        ("tuf-snapshot.json", "metadata/2.snapshot.json"),
        ("tuf-targets.json", "metadata/2.targets.json"),
        ("tuf-package.json", "metadata/1.package.json"),
    ] {
        server.insert(path.into(), golden(name)).unwrap();
    }
    let root = golden("tuf-root.json");
    let mut update = Update::new(root, Held::default(), NOW + 120, Limits::default()).unwrap();
    let catalog = loop {
        match update.next() {
            Step::Done(catalog) => break catalog,
            Step::Fetch { path, .. } => update.supply(server.get(&path).cloned()).unwrap(),
        }
    };
    assert_eq!(catalog.signed_at, Some(NOW + 60));
    let name = TargetName::parse("package/sample/1.2.3~rc1+b4/amd64").unwrap();
    let file = catalog.get(&name).unwrap();
    file.check(&name, &golden("oci-manifest.json")).unwrap();
    let custom = LayerCustom::parse(&file.custom).unwrap();
    assert_eq!(custom.layer, layer_id(&golden("layer-index.hex")));
    assert_eq!(custom.descriptor, layer::descriptor().unwrap().to_json());
}

#[test]
fn custody_begins_with_the_root_that_is_laid_down_here() {
    let directory = tempfile::tempdir().unwrap();
    let workspace = Workspace::init(directory.path(), &InitOptions::new(NOW)).unwrap();
    let open = |name: &str, role| -> SecretKey {
        keys::open(&directory.path().join("keys").join(name), role).unwrap()
    };
    let keys = Keys {
        root: open("root.key", Role::Root),
        targets: open("targets.key", Role::Targets),
        snapshot: open("snapshot.key", Role::Snapshot),
        timestamp: open("timestamp.key", Role::Timestamp),
    };
    let file =
        workspace.files().unwrap().into_iter().find(|file| file.path == "metadata/1.root.json").unwrap();
    assert_eq!(String::from_utf8(first_root(&keys).unwrap()), String::from_utf8(file.bytes));
}

#[test]
fn the_shell_opens_the_store_and_reads_its_layer() {
    let device = RecordingDevice::from_image(golden("store.hex"));
    let store = Store::on_device(device, "store.hex").unwrap();
    let site = image::site().unwrap();
    let id: LayerId = layer_id(&site.index);
    let stored = store.layer(&id).unwrap().unwrap();
    let (places, chunks) = (stored.places().to_vec(), tree::take_apart(&site.index).unwrap().chunks);
    assert_eq!((places.len(), chunks.len()), (1, 1));
    let stream = store.read_place(places[0].unwrap(), chunks[0].length, &chunks[0].id).unwrap();
    assert!(stream == site.stream);
    let active = store.slots().active().unwrap();
    let bytes = store.record(RecordType::Generation, active.generation.as_bytes()).unwrap().unwrap();
    let generation = plyos_namespace::generation::Generation::parse(&bytes).unwrap();
    assert_eq!(generation.layers[0].id, id);
    assert_eq!(store.history().unwrap().entries().len(), 1);
}
