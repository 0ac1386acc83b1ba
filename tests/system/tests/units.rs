//! The systemd units that are shipped: systemd understands every line of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Units, with the name under which an instance of a template is looked at.
const UNITS: [(&str, &str); 4] = [
    ("pkg-mount@.service", "pkg-mount@srv-system.service"),
    ("pkg-health.service", "pkg-health.service"),
    ("pkg-health.timer", "pkg-health.timer"),
    ("pkg-services.service", "pkg-services.service"),
];

#[test]
fn systemd_understands_the_units() {
    if !Command::new("systemd-analyze").arg("--version").output().is_ok_and(|said| said.status.success()) {
        eprintln!("SKIPPED: there is no systemd-analyze here");
        return;
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../client/pkg/systemd");
    let folder = TempDir::with_prefix("plyos-units-").unwrap();
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["verify", "--man=no"]).current_dir(folder.path()).env("LC_ALL", "C");
    for (file, unit) in UNITS {
        let text = fs::read_to_string(from.join(file)).unwrap();
        assert!(text.contains("Description="), "{file}");
        // Where the program is installed is no matter here.
        fs::write(folder.path().join(unit), text.replace("/usr/bin/pkg", "/bin/true")).unwrap();
        analyze.arg(format!("./{unit}"));
    }
    let said = analyze.output().unwrap();
    let lines = String::from_utf8_lossy(&said.stderr);
    let about = |line: &&str| UNITS.iter().any(|(_, unit)| line.contains(unit));
    assert_eq!(lines.lines().filter(about).collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(fs::read_dir(from).unwrap().count(), UNITS.len(), "a unit is not looked at");
}
