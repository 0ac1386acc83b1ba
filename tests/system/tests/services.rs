//! `pkg services`: what layers declare runs, and after each change of the generation only what changed is touched. systemctl is a
//! script that writes down what it was told; where systemd's own tool is installed, it reads the units.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::{Ended, Running};
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const STORE: i32 = 7;
const NOT_FOUND: i32 = 3;

/// A world whose target has a folder of units and a systemctl.
struct Machine {
    world: World,
    units: PathBuf,
    told: PathBuf,
    root: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let world = World::new();
        let [units, told, root, bin] = ["units", "told", "root", "bin"].map(|name| world.target.beside(name));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&bin).unwrap();
        let script = format!(
            "#!/bin/sh\n[ -e {0}.fail ] && {{ echo 'Job failed: see the log' >&2; exit 1; }}\nshift 2\necho \"$@\" >>{0}\n",
            told.display()
        );
        fs::write(bin.join("systemctl"), script).unwrap();
        fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { world, units, told, root }
    }

    fn pkg(&self, args: &[&str]) -> Ended {
        let path =
            format!("{}:{}", self.world.target.beside("bin").display(), std::env::var("PATH").unwrap());
        let mut command = self.world.target.command(args);
        Running::start(command.env("PKG_UNITS", &self.units).env("PATH", path)).end()
    }

    fn start(&self) -> Ended {
        self.pkg(&["services", "start", "--root", self.root.to_str().unwrap()])
    }

    /// What systemctl was told since the last time.
    fn told(&self) -> Vec<String> {
        let told = fs::read_to_string(&self.told).unwrap_or_default();
        let _ = fs::remove_file(&self.told);
        told.lines().map(str::to_owned).collect()
    }

    /// Publishes a package whose services have these names.
    fn offer(&self, name: &str, version: &str, services: &[&str], more: &str) {
        let services = services.iter().map(|service| {
            format!("[[services]]\nname = \"{service}\"\nexec = \"/usr/bin/{name}\"\nargs = [\"--{service}\"]\n{more}\n")
        });
        let text = format!("capabilities = [\"net\", \"fly\"]\n{}", services.collect::<String>());
        let file = self.world.target.beside(&format!("{name}-{version}.toml"));
        fs::write(&file, text).unwrap();
        let tree = Tree::new().file(&format!("usr/bin/{name}"), noise(version.len() as u64 + 7, 900));
        let layer = Layer::package(name, version).with("--manifest", file.to_str().unwrap());
        self.world.offer(&tree, &layer);
    }

    fn written(&self) -> Vec<String> {
        let names =
            fs::read_dir(&self.units).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn only_what_changed_is_stopped_started_and_restarted() {
    let machine = Machine::new();
    machine.offer("web", "1", &["front", "back"], "");
    machine.offer("db", "1", &["db"], "");
    machine.pkg(&["install", "web", "db"]).ok();
    assert!(machine.told().is_empty(), "nothing is followed yet");

    machine.start().ok();
    let [back, front, db] =
        ["web:back", "web:front", "db:db"].map(|name| format!("plyos:package:{name}.service"));
    assert_eq!(machine.told(), ["daemon-reload".to_owned(), format!("start {db} {front} {back}")]);
    let all = ["plyos-services.target".to_owned(), db.clone(), back.clone(), front.clone()];
    assert_eq!(machine.written(), all);
    machine.start().ok();
    assert!(machine.told().is_empty(), "all is as it should be");

    // Another version without one of the services, and with a new one.
    machine.offer("web", "2", &["front", "side"], "");
    machine.pkg(&["upgrade"]).ok();
    let side = "plyos:package:web:side.service";
    assert_eq!(
        machine.told(),
        [
            format!("stop {back}"),
            "daemon-reload".to_owned(),
            format!("restart {front}"),
            format!("start {side}")
        ]
    );
    machine.pkg(&["rollback"]).ok();
    assert_eq!(
        machine.told(),
        [
            format!("stop {side}"),
            "daemon-reload".to_owned(),
            format!("restart {front}"),
            format!("start {back}")
        ]
    );
    machine.pkg(&["remove", "db"]).ok();
    assert_eq!(machine.told(), [format!("stop {db}"), "daemon-reload".to_owned()]);

    let listed = machine.pkg(&["--json", "services", "list"]).json();
    let names: Vec<_> =
        listed["services"].as_array().unwrap().iter().map(|row| row["service"].as_str().unwrap()).collect();
    assert_eq!((names, &listed["followed"]), (vec!["front", "back"], &serde_json::json!(true)));

    let ended = machine.pkg(&["--json", "services", "stop"]).json();
    assert_eq!(ended["stopped"].as_array().unwrap().len(), 2);
    assert_eq!(machine.written(), [""; 0]);
    machine.told();
    machine.pkg(&["rollback"]).ok();
    assert!(machine.told().is_empty(), "nothing is followed any more");
}

#[test]
fn another_store_changes_nothing_here_and_failures_are_told() {
    let machine = Machine::new();
    machine.offer("web", "1", &["front"], "capabilities = [\"net\", \"fly\", \"devices\"]");
    machine.pkg(&["install", "web"]).ok();
    let started = machine.start();
    let started = started.ok();
    assert!(started.stderr.contains("is not granted: fly, devices"), "{}", started.stderr);
    machine.told();

    let other = machine.world.another_target();
    let follow = |args: &[&str]| {
        let mut command = other.command(args);
        Running::start(command.env("PKG_UNITS", &machine.units)).end()
    };
    follow(&["update"]).ok();
    follow(&["install", "plain"]).ok();
    let refused = follow(&["services", "start", "--root", machine.root.to_str().unwrap()]);
    assert!(refused.refused(1).contains("are followed here"));
    assert!(machine.told().is_empty());

    fs::write(machine.told.with_extension("fail"), "").unwrap();
    let failed = machine.pkg(&["remove", "web"]);
    assert_eq!(failed.code, Some(STORE));
    let said = failed.stderr;
    assert!(
        said.contains("the generation is active, but") && said.contains("Job failed: see the log"),
        "{said}"
    );
    assert_eq!(machine.world.target.installed(), ["plain 1"]);
    // Once it can be done, it is.
    fs::remove_file(machine.told.with_extension("fail")).unwrap();
    machine.start().ok();
    assert_eq!(machine.told().first().unwrap(), "stop plyos:package:web:front.service");
}

#[test]
fn units_can_be_shown_and_systemd_understands_them() {
    let machine = Machine::new();
    machine.offer(
        "web",
        "1",
        &["front"],
        "restart = \"always\"\nprincipal = \"nobody\"\ncapabilities = [\"net\"]",
    );
    machine.pkg(&["install", "web"]).ok();
    let shown =
        String::from_utf8(machine.pkg(&["services", "show", "web", "--root", "/srv/x"]).ok().stdout).unwrap();
    for line in [
        "ExecStart=\"/usr/bin/web\" \"--front\"",
        "RootDirectory=/srv/x",
        "User=nobody",
        "Restart=always",
        "PrivateNetwork=no",
    ] {
        assert!(shown.lines().any(|there| there == line), "{line} is not in:\n{shown}");
    }
    machine.pkg(&["services", "show", "nothing"]).refused(NOT_FOUND);
    machine.pkg(&["services", "start", "--root", "/nowhere/at/all"]).refused(NOT_FOUND);

    machine.start().ok();
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("SKIPPED: units are not read by systemd-analyze, which is not installed");
        return;
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]);
    let read = verify.arg(machine.units.join("plyos:package:web:front.service")).output().unwrap();
    let said = String::from_utf8_lossy(&read.stderr);
    // It looks for the program in the folder that this test has as root, and does not find it.
    let complaints: Vec<_> =
        said.lines().filter(|line| line.contains("plyos") && !line.contains("is not executable")).collect();
    assert!(complaints.is_empty(), "{said}");
}
