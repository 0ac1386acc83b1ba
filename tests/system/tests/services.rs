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

/// Writes down what it is told, keeps who is active, and fails for units that TOLD.fail has a part of the name of.
const SYSTEMCTL: &str = r#"#!/bin/sh
mkdir -p TOLD.active
if [ "$1" = is-active ]; then
    shift
    for unit; do [ -e "TOLD.active/$unit" ] && echo active || echo inactive; done
    exit 0
fi
shift 2
verb=$1
[ -e TOLD.fail ] && echo "$@" | grep -qf TOLD.fail && { echo 'Job failed: see the log' >&2; exit 1; }
echo "$@" >>TOLD
shift
for unit; do
    case $verb in
    stop) rm -f "TOLD.active/$unit" ;;
    *) touch "TOLD.active/$unit" ;;
    esac
done
"#;

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
        let script = SYSTEMCTL.replace("TOLD", told.to_str().unwrap());
        fs::write(bin.join("systemctl"), script).unwrap();
        fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { world, units, told, root }
    }

    fn pkg(&self, args: &[&str]) -> Ended {
        let path =
            format!("{}:{}", self.world.target.beside("bin").display(), std::env::var("PATH").unwrap());
        let mut command = self.world.target.command(args);
        let users = self.world.target.beside("service-users");
        command.env("PKG_SERVICE_USERS", users).env("PKG_UNITS", &self.units).env("PATH", path);
        Running::start(&mut command).end()
    }

    /// From now on systemctl fails for units with this in their line, or for none.
    fn fails(&self, part: Option<&str>) {
        let file = self.told.with_extension("fail");
        match part {
            Some(part) => fs::write(file, part).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
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
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
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

    machine.fails(Some("web"));
    let failed = machine.pkg(&["remove", "web"]);
    assert_eq!(failed.code, Some(STORE));
    let said = failed.stderr;
    assert!(
        said.contains("the generation is active, but") && said.contains("Job failed: see the log"),
        "{said}"
    );
    assert_eq!(machine.world.target.installed(), ["plain 1"]);
    machine.told();
    // Once it can be done, it is.
    machine.fails(None);
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
    fs::write(machine.world.target.beside("service-users"), "package/web nobody\n").unwrap();
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

#[test]
fn what_could_not_be_started_is_started_by_the_next_look() {
    let machine = Machine::new();
    machine.offer("web", "1", &["front", "back"], "");
    machine.pkg(&["install", "web"]).ok();
    machine.start().ok();
    machine.told();

    machine.offer("web", "2", &["front", "back"], "");
    machine.fails(Some("front"));
    let failed = machine.pkg(&["upgrade"]);
    assert_eq!(failed.code, Some(STORE), "{}", failed.stderr);
    assert!(failed.stderr.contains("Job failed: see the log"), "{}", failed.stderr);
    // One does not stand in the way of the other.
    assert_eq!(machine.told(), ["daemon-reload", "restart plyos:package:web:back.service"]);
    let listed = machine.pkg(&["services", "list"]).ok().text();
    assert!(
        listed.lines().any(|line| line.contains("front") && line.contains("to be started anew")),
        "{listed}"
    );

    let still = machine.start();
    assert_eq!((still.code, machine.told()), (Some(1), vec!["daemon-reload".to_owned()]), "{}", still.stderr);
    machine.fails(None);
    machine.start().ok();
    assert_eq!(machine.told(), ["daemon-reload", "restart plyos:package:web:front.service"]);
    machine.start().ok();
    assert!(machine.told().is_empty(), "all is as it should be");

    // What ended by itself is told as it is, and started when that is asked for.
    fs::remove_file(machine.told.with_extension("active").join("plyos:package:web:front.service")).unwrap();
    let listed = machine.pkg(&["--json", "services", "list"]).json();
    assert_eq!(listed["services"][0]["state"], "inactive", "{listed}");
    machine.start().ok();
    assert_eq!(machine.told(), ["start plyos:package:web:front.service"]);
}

#[test]
fn a_service_that_cannot_be_started_ends_the_trial() {
    let machine = Machine::new();
    machine.offer("web", "1", &["front"], "");
    machine.pkg(&["install", "web"]).ok();
    machine.start().ok();
    machine.pkg(&["health", "set", "--command", "true"]).ok();
    let good = machine.world.target.generation();
    machine.told();

    machine.offer("web", "2", &["front"], "");
    // The new unit fails, the old one does not.
    let script = machine.world.target.beside("bin").join("systemctl");
    let text = fs::read_to_string(&script).unwrap();
    let picky =
        format!("grep -q 'web 2' {}/*front.service 2>/dev/null && touch TOLD.new\n", machine.units.display());
    let fails =
        "[ -e TOLD.new ] && [ \"$3\" = restart ] && { rm TOLD.new; echo 'no such port' >&2; exit 1; }\n";
    let new = format!("{picky}{fails}").replace("TOLD", machine.told.to_str().unwrap());
    fs::write(&script, text.replacen("#!/bin/sh\n", &format!("#!/bin/sh\n{new}"), 1)).unwrap();

    let failed = machine.pkg(&["upgrade"]);
    assert_eq!(failed.code, Some(STORE), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("was given up") && failed.stderr.contains("no such port"),
        "{}",
        failed.stderr
    );
    assert_eq!(machine.world.target.generation(), good);
    assert_eq!(machine.told(), ["daemon-reload", "daemon-reload", "restart plyos:package:web:front.service"]);
    // It is evidence: the same layers are not tried again by themselves.
    machine.pkg(&["upgrade"]).refused(STORE);
}

#[test]
fn no_service_is_root_or_somebody_else_by_its_own_word() {
    let machine = Machine::new();
    machine.offer("good", "1", &["good"], "");
    for (name, principal) in [("evil", "root"), ("db", "daemon")] {
        machine.offer(name, "1", &[name], &format!("principal = \"{principal}\""));
    }
    machine.pkg(&["install", "good", "evil", "db"]).ok();
    let started = machine.start();
    assert_eq!(started.code, Some(1), "{}", started.stderr);
    assert!(started.stderr.contains("which is root"), "{}", started.stderr);
    assert!(started.stderr.contains("`package/db daemon` in /etc/plyos/service-users"), "{}", started.stderr);
    assert_eq!(machine.written(), ["plyos-services.target", "plyos:package:good:good.service"]);
    let unit = fs::read_to_string(machine.units.join("plyos:package:good:good.service")).unwrap();
    assert!(unit.contains("DynamicUser=yes\nUser=plyos-good\n"), "{unit}");

    let users = machine.world.target.beside("service-users");
    fs::write(&users, "package/db daemon\npackage/evil root\n").unwrap();
    fs::set_permissions(&users, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(machine.start().refused(1).contains("others than its owner may write it"));
    fs::set_permissions(&users, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(machine.start().code, Some(1), "root is refused whoever allowed it");
    let unit = fs::read_to_string(machine.units.join("plyos:package:db:db.service")).unwrap();
    assert!(unit.contains("\nUser=daemon\n") && !unit.contains("DynamicUser"), "{unit}");
    assert_eq!(machine.written().len(), 3);
}

#[test]
fn services_wait_until_the_export_shows_the_generation() {
    let machine = Machine::new();
    let exported = machine.world.target.beside("exported");
    let (dir, link) = (exported.to_str().unwrap().to_owned(), exported.join("current"));
    machine.offer("web", "1", &["front"], "");
    machine.pkg(&["install", "web"]).ok();
    machine.pkg(&["export", &dir]).ok();
    machine.pkg(&["services", "start", "--root", link.to_str().unwrap()]).ok();
    machine.told();

    machine.offer("web", "2", &["front"], "");
    let upgraded = machine.pkg(&["upgrade"]).ok();
    assert!(upgraded.stderr.contains("does not show it yet"), "{}", upgraded.stderr);
    assert!(machine.told().is_empty(), "the old program would have been started anew");
    machine.pkg(&["services", "start", "--root", link.to_str().unwrap()]).refused(STORE);
    machine.pkg(&["export", &dir]).ok();
    assert_eq!(machine.told(), ["daemon-reload", "restart plyos:package:web:front.service"]);
}

#[test]
fn what_changes_nothing_touches_no_service() {
    let machine = Machine::new();
    machine.offer("web", "1", &["front"], "");
    machine.offer("db", "1", &["db"], "");
    machine.pkg(&["install", "web"]).ok();
    machine.start().ok();
    machine.told();
    // Something is left to be done, so a look would do it.
    fs::remove_file(machine.units.join("plyos:package:web:front.service")).unwrap();
    machine.pkg(&["install", "--dry-run", "db"]).ok();
    machine.pkg(&["upgrade"]).ok();
    machine.pkg(&["health", "show"]).ok();
    assert!(machine.told().is_empty());
    machine.pkg(&["health", "run"]).ok();
    assert_eq!(machine.told(), ["daemon-reload", "start plyos:package:web:front.service"]);
}
