//! The folder that is mounted on: what may be, and taking the mount off.

use super::cli::UmountArgs;
use crate::target::Target;
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use plyos_report::{ExitCode, Failure, OrFail};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a mount of ours is called in the table of mounts, before the path of its store.
pub const SOURCE: &str = "plyos:";
/// The helper by which users other than root mount and unmount.
const HELPER: &str = "fusermount3";
/// How often a mount that is in use is tried, for a process that is just walking through it is gone at once.
const TRIES: u32 = 20;
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// How a mount is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Refused while it is in use.
    Whole,
    /// Out of the tree at once; for those inside when they leave.
    Lazy,
}

/// Checks that there can be a mount at `dir`; takes off what a dead server left there. Gives the absolute path.
pub fn prepare(dir: &Path) -> Result<PathBuf, Failure> {
    let named = dir.display();
    let absolute = resolved(dir).or_fail(ExitCode::Usage, format_args!("mounting on {named}"))?;
    if let Some(mount) = mount_at(&absolute) {
        if !is_dead(&absolute) || !mount.is_ours() {
            let line = format!(
                "there is a mount on {named} already ({}); `pkg umount {named}` takes it off",
                String::from_utf8_lossy(&mount.source)
            );
            return Err(Failure::new(ExitCode::Conflict, line));
        }
        unmount(&absolute, Manner::Lazy)
            .or_fail(ExitCode::Failure, format_args!("taking a dead mount off {named}"))?;
    }
    let absolute = match absolute.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let line = format!("there is no folder {named} to mount on; make it with `mkdir -p {named}`");
            return Err(Failure::new(ExitCode::NotFound, line));
        }
        found => found.or_fail(ExitCode::Failure, format_args!("mounting on {named}"))?,
    };
    let mut content = match std::fs::read_dir(&absolute) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(Failure::new(ExitCode::Usage, format!("{named} is no folder; name an empty one")));
        }
        content => content.or_fail(ExitCode::Failure, format_args!("looking into {named}"))?,
    };
    if content.next().is_some() {
        let line =
            format!("{named} is not empty, and a mount would hide what is in it; name an empty folder");
        return Err(Failure::new(ExitCode::Conflict, line));
    }
    if let Some(mount) = mount_at(&absolute) {
        let line = format!(
            "there is a mount on {named} already ({}); name another folder",
            String::from_utf8_lossy(&mount.source)
        );
        return Err(Failure::new(ExitCode::Conflict, line));
    }
    check_fuse()?;
    Ok(absolute)
}

/// A folder by the path that the table of mounts has for it. A dead mount may not be resolved itself, but what leads to it.
fn resolved(dir: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(dir)?;
    if let Ok(resolved) = absolute.canonicalize() {
        return Ok(resolved);
    }
    let above = absolute.parent().and_then(|above| above.canonicalize().ok());
    Ok(match (above, absolute.file_name()) {
        (Some(above), Some(name)) => above.join(name),
        _ => absolute,
    })
}

/// Whether this host has FUSE.
fn check_fuse() -> Result<(), Failure> {
    if !Path::new("/dev/fuse").exists() {
        let line =
            "there is no /dev/fuse on this host; load it with `modprobe fuse`, or use `pkg export DIR`";
        return Err(Failure::new(ExitCode::Failure, line));
    }
    if std::fs::File::options().read(true).write(true).open("/dev/fuse").is_err() {
        let line = "this user may not open /dev/fuse; mount as root, or use `pkg export DIR`";
        return Err(Failure::new(ExitCode::Failure, line));
    }
    if !nix::unistd::geteuid().is_root() && !has_helper() {
        let line = format!(
            "there is no {HELPER} on this host, which users other than root need to mount; install the package \
             fuse3, or use `pkg export DIR`"
        );
        return Err(Failure::new(ExitCode::Failure, line));
    }
    Ok(())
}

fn has_helper() -> bool {
    let mut helper = Command::new(HELPER);
    helper.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// `pkg umount`
pub fn umount(target: &Target, args: &UmountArgs) -> Result<(), Failure> {
    let named = args.dir.display();
    let absolute = resolved(&args.dir).or_fail(ExitCode::Usage, format_args!("unmounting {named}"))?;
    let Some(mount) = mount_at(&absolute) else {
        let line = format!("nothing is mounted on {named}; `findmnt -t fuse` lists what is");
        return Err(Failure::new(ExitCode::NotFound, line));
    };
    if !mount.is_ours() {
        let line = format!(
            "what is mounted on {named} is no store of ours ({}); use `umount`",
            String::from_utf8_lossy(&mount.source)
        );
        return Err(Failure::new(ExitCode::Conflict, line));
    }
    let manner = if args.lazy { Manner::Lazy } else { Manner::Whole };
    match unmount(&absolute, manner) {
        Ok(()) => {
            target.progress.step(&format!("Unmounted {named}."));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            let line = format!(
                "{named} is in use; `fuser -vm {named}` says by whom, --lazy takes it out of the tree nevertheless"
            );
            Err(Failure::new(ExitCode::Conflict, line))
        }
        Err(error) => Err(Failure::new(ExitCode::Failure, format!("unmounting {named}: {error}"))),
    }
}

/// Takes the mount at `dir` off.
pub fn unmount(dir: &Path, manner: Manner) -> io::Result<()> {
    let mut tries = 1;
    loop {
        match unmount_once(dir, manner) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && tries < TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

fn unmount_once(dir: &Path, manner: Manner) -> io::Result<()> {
    let flags = if manner == Manner::Lazy { MntFlags::MNT_DETACH } else { MntFlags::empty() };
    match umount2(dir, flags | MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::EPERM) => by_helper(dir, manner),
        result => Ok(result?),
    }
}

fn by_helper(dir: &Path, manner: Manner) -> io::Result<()> {
    let how = if manner == Manner::Lazy { "-uz" } else { "-u" };
    let asked = Command::new(HELPER).args([OsStr::new(how), OsStr::new("--"), dir.as_os_str()]).output()?;
    if asked.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
    let kind = if said.contains("busy") { io::ErrorKind::ResourceBusy } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, said))
}

/// Whether the server of the mount at `dir` is gone.
fn is_dead(dir: &Path) -> bool {
    // Not by its attributes, which the kernel may remember.
    std::fs::read_dir(dir).is_err_and(|error| error.raw_os_error() == Some(Errno::ENOTCONN as i32))
}

/// A line of the table of mounts.
#[derive(Debug, PartialEq, Eq)]
struct MountLine {
    kind: Vec<u8>,
    source: Vec<u8>,
}

impl MountLine {
    fn is_ours(&self) -> bool {
        self.kind.starts_with(b"fuse") && self.source.starts_with(SOURCE.as_bytes())
    }
}

/// What is mounted at `dir`, the topmost when there are several.
fn mount_at(dir: &Path) -> Option<MountLine> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(parse_line).filter(|(at, _)| at == dir).map(|(_, line)| line).next_back()
}

/// Mount point and what is mounted of a line of mountinfo (proc_pid_mountinfo(5)): the fifth field, and after ` - ` type and source.
fn parse_line(line: &[u8]) -> Option<(PathBuf, MountLine)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let (kind, source) = (fields.next()?.to_vec(), unescape(fields.next()?));
    Some((PathBuf::from(std::ffi::OsString::from_vec(point)), MountLine { kind, source }))
}

/// Undoes `\040` and its like.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let value = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match value.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_mount_table() {
        let line =
            br"98 1 0:52 / /srv/a\040b\134 ro,nosuid shared:5 master:1 - fuse plyos:/var/lib/plyos/store ro";
        let (point, found) = parse_line(line).unwrap();
        assert_eq!(point, Path::new("/srv/a b\\"));
        assert!(found.is_ours());
        let other = b"21 1 8:1 / /srv rw - ext4 /dev/sda1 rw";
        let (_, found) = parse_line(other).unwrap();
        assert_eq!((found.is_ours(), found.source.as_slice()), (false, &b"/dev/sda1"[..]));
        assert_eq!(parse_line(b""), None);
        assert_eq!(unescape(br"a\04"), br"a\04");
    }
}
