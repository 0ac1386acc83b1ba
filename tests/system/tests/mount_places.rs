//! Where a mount may be and whose it may be: a user who is not root, and other mounts inside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::inventory;
use plyos_test_system::mounted::{Mount, is_mounted};
use plyos_test_system::programs::{built, run};
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A base as generation 1 and a site in version 1 as generation 2, in version 2 as generation 3, which is active.
fn world() -> World {
    let world = World::new();
    for version in ["1", "2"] {
        world.offer(&Tree::new().file("version", version), &Layer::new("site", "docs", version));
        world.target.pkg(&["install", "docs"]).ok();
    }
    world
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// What the user does, as commands of whom each must end well; its stdout is compared. Root cannot look into the mount.
const AS_NOBODY: &str = r#"
set -eu
pkg=$PWD/pkg mount=$PWD/mounted
mkdir "$mount"
"$pkg" -q mount --background "$mount"
cat "$mount/www/docs/version"
"$pkg" -q rollback 2
cat "$mount/www/docs/version"
"$pkg" -q rollback 3
cat "$mount/www/docs/version"
server=$(for process in /proc/[0-9]*; do
  tr '\0' '\n' 2>/dev/null <"$process/cmdline" | grep -qx -e "$mount" || continue
  tr '\0' '\n' 2>/dev/null <"$process/cmdline" | grep -qx server && echo "${process#/proc/}"
done)
kill -KILL "$server"
for try in $(seq 600); do
  cat "$mount/www/docs/version" 2>/dev/null && break
  sleep 0.1
done
"$pkg" -q umount "$mount"
ls -A "$mount"
echo end
"#;

#[test]
fn a_user_who_is_not_root() {
    let helper = Command::new("fusermount3").arg("-V").output().is_ok_and(|output| output.status.success());
    if !inventory::is_root() || !Path::new("/dev/fuse").exists() || !helper {
        // Who is not root runs all other tests of mounts as such a user.
        eprintln!("SKIPPED: only root can become another user, and fusermount3 must be there");
        return;
    }
    let world = world();
    let folder = world.target.store().parent().unwrap().to_owned();
    fs::copy(built("pkg"), folder.join("pkg")).unwrap();
    // A device of its own, in a namespace of its own: here only root may open the one that is there.
    let script = "set -eu
        mkdir dev && mount -t tmpfs -o mode=755 tmpfs dev && mknod dev/fuse c 10 229 && chmod 666 dev/fuse
        mount --bind dev/fuse /dev/fuse
        chown -R nobody .
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all bash -c \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-c", script, "bash", AS_NOBODY]);
    command.current_dir(&folder).env("PKG_STORE", world.target.store()).env("HOME", &folder);
    assert_eq!(run(&mut command).ok().text(), "2122end\n");
}

#[test]
fn what_is_mounted_inside_goes_with_a_change() {
    let world = world();
    let Some(mount) = Mount::of(&world.target, "mounted", &[]) else { return };
    let inside = mount.at("www/docs");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&inside).output().unwrap();
    if !mounted.status.success() {
        eprintln!("SKIPPED: nothing can be mounted: {}", String::from_utf8_lossy(&mounted.stderr));
        return;
    }
    fs::write(inside.join("added"), "inside").unwrap();
    world.target.pkg(&["rollback"]).ok();
    // The new generation is there, as everywhere; nothing hides it, and nothing keeps the mount from being taken off.
    assert_eq!(text(inside.join("version")), "1");
    assert!(!is_mounted(&inside));
    world.target.pkg(&["umount", mount.dir().to_str().unwrap()]).ok();
    assert!(!is_mounted(mount.dir()));
    assert_eq!(mount.said(), "");
}
