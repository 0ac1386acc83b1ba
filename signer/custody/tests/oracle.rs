//! python-tuf accepts what a workspace publishes, and the client workflow accepts what python-tuf writes.
//!
//! Runs only when `PLYOS_PYTHON_TUF` names a Python that has the packages `tuf` and `securesystemslib[crypto]`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use plyos_custody::repository::{InitOptions, LayerTarget, PublishFile, Workspace};
use plyos_ids::{Kind, LayerId};
use plyos_trust::{
    custom::Sizes,
    tuf::{Catalog, Held, Limits, Step, TargetName, Update},
};
use serde_json::json;

const PACKAGE: &str = "package/hello/1.0/amd64";

/// The oracle, or `None` (said aloud) when there is no Python for it.
fn oracle(arguments: &[&str]) -> Option<Output> {
    let Ok(python) = env::var("PLYOS_PYTHON_TUF") else {
        println!("skipped: set PLYOS_PYTHON_TUF to a Python that has python-tuf");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle_python_tuf.py");
    Some(Command::new(python).arg(script).args(arguments).output().unwrap())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn write_out(server: &Path, files: &[PublishFile]) {
    for file in files {
        let path = server.join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.bytes).unwrap();
    }
}

fn published(dir: &Path) -> Workspace {
    let options = InitOptions { root_keys: 2, root_threshold: 2, ..InitOptions::new(now()) };
    let mut workspace = Workspace::init(&dir.join("workspace"), &options).unwrap();
    let target = LayerTarget {
        descriptor: json!({
            "arch": "amd64", "kind": "package", "name": "hello", "version": "1.0",
            "summary": "quotes \" and \\ and a\nline, caf\u{e9} \u{1f600}",
        }),
        kind: Kind::Package,
        name: "hello".into(),
        version: "1.0".into(),
        arch: "amd64".into(),
        layer: LayerId::from_bytes([7; 32]),
        manifest: b"the manifest".to_vec(),
        sizes: Sizes::default(),
        channels: vec!["stable".into()],
        epoch: 0,
        registry: None,
    };
    workspace.add_layer(target, now()).unwrap();
    write_out(&dir.join("server"), &workspace.publish(now()).unwrap());
    workspace
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn python_tuf_accepts_what_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let mut workspace = published(dir.path());
    let (server, state) = (dir.path().join("server"), dir.path().join("state"));
    let read = || oracle(&["read", path(&server), path(&state), PACKAGE, "keyring"]);
    let Some(output) = read() else { return };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains(&format!("{PACKAGE} 12\n")) && told.contains("keyring "), "{told}");

    // A second update from the metadata that it kept, over a root that was signed again.
    write_out(&server, &workspace.resign(now() + 250 * 86_400).unwrap());
    assert!(server.join("metadata/2.root.json").exists());
    let output = read().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // The oracle can say no: a package list whose last byte differs.
    write_out(&server, &workspace.publish(now()).unwrap());
    let files = fs::read_dir(server.join("metadata")).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| path(file).ends_with("package.json")) {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"length\":12", "\"length\":13")).unwrap();
    }
    let fresh = dir.path().join("fresh");
    let output = oracle(&["read", path(&server), path(&fresh), PACKAGE]).unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("refused"), "{told}");
}

#[test]
fn what_python_tuf_writes_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let Some(output) = oracle(&["write", path(dir.path())]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let root = fs::read(dir.path().join("metadata/1.root.json")).unwrap();
    let mut update = Update::new(root, Held::default(), now(), Limits::default()).unwrap();
    let catalog = loop {
        match update.next() {
            Step::Fetch { path, .. } => update.supply(fs::read(dir.path().join(path)).ok()).unwrap(),
            Step::Done(catalog) => break *catalog,
        }
    };
    assert_eq!(catalog.root.header().version, 2);
    let name = TargetName::parse(PACKAGE).unwrap();
    let file = catalog.get(&name).unwrap();
    assert_eq!(file.custom["number"], -7);
    file.check(&name, &fs::read(dir.path().join(catalog.path_of(&name, file))).unwrap()).unwrap();
    let kept: BTreeMap<String, Vec<u8>> = catalog.files.clone();
    assert_eq!(Catalog::load(kept, now(), Limits::default()).unwrap(), catalog);
}
