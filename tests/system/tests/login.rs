//! A registry that asks who is there: `plyos login`, `plyos` and `pkg` with what it kept or the environment has, and skopeo
//! with the same file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::{Ended, Running, built, command, run, wait_for};
use plyos_test_system::registry::Registry;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const NOT_FOUND: i32 = 3;
const NETWORK: i32 = 8;
/// What `htpasswd -B` makes of [`PASSWORD`], at the least cost there is.
const ACCOUNTS: &str = "ann:$2b$04$abcdefghijklmnopqrstuuj.EyiH4gzP5pACNVQgr4K1..XMkuFK6\n";
const PASSWORD: &str = "ann's secret";
const RULES: &str =
    "[[rules]]\nwho = ['ann']\nrepositories = ['**', 'catalog:*']\nrights = ['pull', 'push']\n";

/// A registry that nobody but ann may use.
struct Private {
    folder: TempDir,
    registry: Registry,
}

impl Private {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (htpasswd, config) = (folder.path().join("htpasswd"), folder.path().join("registry.toml"));
        fs::write(&htpasswd, ACCOUNTS).unwrap();
        fs::write(&config, format!("anonymous-pull = false\n{RULES}")).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        let options = ["--config".into(), config.into(), "--htpasswd".into(), htpasswd.into()];
        let registry = Registry::start_with(options.to_vec());
        Self { folder, registry }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn host(&self) -> String {
        self.registry.address().to_string()
    }

    fn plyos(&self, args: &[&str]) -> Ended {
        run(command(built("plyos"), &self.home()).args(args))
    }

    fn login(&self, password: &str) -> Ended {
        let file = self.folder.path().join("password");
        fs::write(&file, format!("{password}\n")).unwrap();
        let host = self.host();
        let mut login = command(built("plyos"), &self.home());
        login.args(["--json", "login", &host, "--username", "ann", "--password-stdin"]);
        run(login.stdin(File::open(&file).unwrap()))
    }

    fn push(&self, tree: &Tree, version: &str) -> Ended {
        let place = self.registry.place("package/hello", version);
        let words = [
            "push",
            tree.path().to_str().unwrap(),
            &place,
            "--kind",
            "package",
            "--name",
            "hello",
            "--version",
            version,
        ];
        self.plyos(&words)
    }
}

fn tree() -> Tree {
    Tree::new().file("usr/share/hello", noise(3, 3_000_000))
}

fn by_environment(mut command: Command, password: &str) -> Command {
    command.env("PLYOS_REGISTRY_USER", "ann").env("PLYOS_REGISTRY_PASSWORD", password);
    command
}

#[test]
fn logging_in_pushing_publishing_and_installing() {
    let private = Private::start();
    let line = private.push(&tree(), "1").refused(NETWORK);
    assert!(line.contains("401") && line.contains("plyos login"), "{line}");
    let line = private.login("wrong").refused(NETWORK);
    assert!(line.contains("as ann") && line.contains("401"), "{line}");
    let file = private.home().join(".config/plyos/auth.json");
    assert!(!file.exists(), "a wrong password is not kept");

    assert_eq!(private.login(PASSWORD).json()["file"], file.to_str().unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    private.push(&tree(), "1").ok();
    let (workspace, catalog) = (private.folder.path().join("repo"), private.registry.catalog());
    let workspace = workspace.to_str().unwrap();
    let root = private.plyos(&["--json", "repo", "init", workspace, "--catalog", &catalog]).json();
    private.plyos(&["publish", "--repo", workspace, &private.registry.place("package/hello", "1")]).ok();

    // A target that knows the password from its environment, and one that does not.
    let target = Target::new();
    let add = ["repo", "add", &catalog, "--root", root["root_sha256"].as_str().unwrap()];
    let line = target.refuses(NETWORK, &add);
    assert!(line.contains("401"), "{line}");
    run(&mut by_environment(target.command(&add), "wrong")).refused(NETWORK);
    for args in [&add[..], &["update"], &["install", "hello"]] {
        run(&mut by_environment(target.command(args), PASSWORD)).ok();
    }

    let host = private.host();
    private.plyos(&["logout", &host]).ok();
    private.plyos(&["logout", &host]).refused(NOT_FOUND);
    private.push(&tree(), "2").refused(NETWORK);
}

#[test]
fn skopeo_reads_what_plyos_keeps_and_the_other_way_round() {
    let private = Private::start();
    private.login(PASSWORD).ok();
    private.push(&tree(), "1").ok();
    let file = private.home().join(".config/plyos/auth.json");
    let place = private.registry.place("package/hello", "1");
    let skopeo = |args: &[&str]| run(command("skopeo", &private.home()).args(args));
    let image = format!("docker://{place}");
    let inspected =
        skopeo(&["inspect", "--tls-verify=false", "--authfile", file.to_str().unwrap(), &image]).json();
    assert_eq!(inspected["RepoTags"][0], "1");
    skopeo(&["inspect", "--tls-verify=false", &image]).refused_somehow();

    private.plyos(&["logout", &private.host()]).ok();
    let theirs = private.folder.path().join("theirs.json");
    let host = private.host();
    let words = [
        "login",
        "--tls-verify=false",
        "--authfile",
        theirs.to_str().unwrap(),
        "-u",
        "ann",
        "-p",
        PASSWORD,
        &host,
    ];
    skopeo(&words).ok();
    let inspect = |home: &Path| {
        let mut inspect = command(built("plyos"), home);
        inspect.args(["inspect", &place]);
        inspect
    };
    run(&mut inspect(&private.home())).refused(NETWORK);
    run(inspect(&private.home()).env("REGISTRY_AUTH_FILE", &theirs)).ok();
}

trait RefusedSomehow {
    fn refused_somehow(self);
}

impl RefusedSomehow for Ended {
    /// By a program whose exit codes are its own.
    fn refused_somehow(self) {
        assert!(self.code.is_some_and(|code| code != 0), "{} should have failed", self.line);
    }
}

#[test]
fn a_reload_takes_over_rules_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (config, storage) = (folder.path().join("registry.toml"), folder.path().join("storage"));
    let (log, htpasswd) = (folder.path().join("log"), folder.path().join("htpasswd"));
    fs::write(&htpasswd, ACCOUNTS).unwrap();
    let rules =
        |rights: &str| format!("[[rules]]\nwho = ['ann']\nrepositories = ['**']\nrights = [{rights}]\n");
    fs::write(&config, rules("'pull'")).unwrap();
    // The log goes to a file, since its end is not what is waited for.
    let words =
        "exec \"$0\" serve --listen 127.0.0.1:0 --config \"$1\" --storage \"$2\" --htpasswd \"$3\" 2> \"$4\"";
    let mut serve = command("sh", folder.path());
    serve.args(["-c", words]).arg(built("plyos")).args([&config, &storage, &htpasswd, &log]);
    let mut serving = Running::start(&mut serve);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let address = wait_for("the address", || {
        said().lines().find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
    });
    let push = || {
        let curl =
            ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", &format!("ann:{PASSWORD}"), "-X", "POST"];
        let url = format!("{address}/v2/a/blobs/uploads/");
        run(command("curl", folder.path()).args(curl).arg(url)).ok().text()
    };
    assert_eq!(push(), "403");
    fs::write(&config, rules("'pull', 'push'")).unwrap();
    serving.signal("HUP");
    wait_for("the reload", || (push() == "202").then_some(()));
    fs::write(&config, "nonsense").unwrap();
    serving.signal("HUP");
    wait_for("the complaint", || said().contains("nothing was taken over").then_some(()));
    assert_eq!(push(), "202");
    serving.signal("TERM");
    serving.end().ok();
    assert!(said().contains("stopping"), "{}", said());
}

#[test]
fn the_configuration_is_printed_with_its_sources_and_errors_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("registry.toml");
    fs::write(
        &config,
        "[limits]\ntags = 7\nranges = 8\n[storage-options]\naws_secret_access_key = 'xyzzy'\n",
    )
    .unwrap();
    let serve = |args: &[&str]| {
        let mut serve = command(built("plyos"), folder.path());
        serve.args(["serve", "--config", config.to_str().unwrap(), "--print-config"]).args(args);
        serve
    };
    let printed =
        run(serve(&["--set", "limits.open-uploads=9"]).env("PLYOS_SERVE_LIMITS_RANGES", "10")).ok().text();
    for line in ["tags = 7", "ranges = 10", "open-uploads = 9", "aws_secret_access_key = \"********\""] {
        assert!(printed.lines().any(|found| found == line), "{line} in\n{printed}");
    }
    assert!(
        printed.contains("(environment)") && printed.contains("(command line)") && !printed.contains("xyzzy")
    );
    let line = run(&mut serve(&["--set", "limits.rnages=1"])).refused(2);
    assert!(line.contains("did you mean 'limits.ranges'?"), "{line}");
    run(serve(&[]).env("PLYOS_SERVE_NONSENSE", "1")).refused(2);
    fs::write(&config, "limits = \n").unwrap();
    run(&mut serve(&[])).refused(2);
    run(command(built("plyos"), folder.path()).args(["serve"])).refused(2);
}
