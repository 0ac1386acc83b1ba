//! The systemd unit and its configuration. Needs systemd-analyze, which asks no running systemd.

use std::path::Path;
use std::process::Command;

use plyos_registry::{Loaded, Sources};

const UNIT: &str = include_str!("../../systemd/plyos-registry.service");
const CONFIG: &str = include_str!("../../systemd/registry.toml");

fn analyze(arguments: &[&str], unit: &Path) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .output()
        .expect("this needs systemd-analyze");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn the_unit_is_sound_and_confined() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("plyos-registry.service");
    // The program is not installed where the tests run.
    assert!(UNIT.contains("ExecStart=/usr/bin/plyos serve --config /etc/plyos/registry.toml\n"));
    std::fs::write(&unit, UNIT.replace("/usr/bin/plyos", "/bin/true")).unwrap();
    let (sound, said) = analyze(&["verify"], &unit);
    assert!(sound && !said.contains("plyos-registry.service"), "{said}");
    // In tenths: "OK" ends at 4.9, and a unit without any of this has 9.6.
    let (confined, said) = analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"], &unit);
    assert!(confined, "{said}");
}

#[test]
fn its_configuration_is_understood() {
    let file = Some(("registry.toml".into(), CONFIG.to_owned()));
    let loaded = Loaded::load(&Sources { file, ..Sources::default() }).unwrap();
    assert_eq!(loaded.config.storage, "/var/lib/plyos-registry");
    assert!(UNIT.contains("StateDirectory=plyos-registry\n") && loaded.config.log.json);
    // What the comments show is right too.
    let shown: String = CONFIG
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let file = Some(("comments".into(), shown));
    let loaded = Loaded::load(&Sources { file, ..Sources::default() }).unwrap();
    assert_eq!(loaded.config.access.rules.len(), 1);
}
