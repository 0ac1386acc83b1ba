//! What others read out of our stream: GNU tar always, bsdtar and Python's tarfile where they are installed.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::entry::{Entry, EntryKind};
use crate::samples;
use crate::stream::EPOCH;

/// Feeds `input` to a program; `None` when it is not installed.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<(bool, String, String)> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
    Some((output.status.success(), text(&output.stdout), text(&output.stderr)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn gnu_tar_lists_every_entry_as_it_is() {
    let input = samples::everything();
    let arguments = ["--numeric-owner", "--full-time", "--quoting-style=escape", "-tvf", "-"];
    let (success, listing, complaint) = run("tar", &arguments, &samples::stream(&input)).expect("GNU tar");
    assert!(success, "{complaint}");
    // It does not know `hdrcharset` and says so; names come out right all the same.
    assert!(complaint.lines().all(|line| line.contains("hdrcharset")), "{complaint}");
    let lines: Vec<&str> = listing.lines().collect();
    assert_eq!(lines.len(), input.entries.len(), "{listing}");
    let line_of = |end: &str| {
        let line =
            lines.iter().find(|line| line.ends_with(end)).unwrap_or_else(|| panic!("{end}: {listing}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(lines[0].ends_with(" ./"), "{listing}");
    let midnight = "2020-01-01 00:00:00";
    assert_eq!(line_of(" bin/sh"), format!("-rw-r--r-- 0/0 3 {midnight} bin/sh"));
    assert_eq!(line_of(" dev-c"), format!("crw-r--r-- 0/0 1,5 {midnight} dev-c"));
    assert_eq!(line_of(" dev-b"), format!("brw-r--r-- 0/0 259,1048575 {midnight} dev-b"));
    assert_eq!(line_of(" fifo"), format!("prw-r--r-- 0/0 0 {midnight} fifo"));
    assert_eq!(line_of(" setuid"), format!("-rwsr-xr-x 0/0 1 {midnight} setuid"));
    assert_eq!(line_of(" ids-fit"), format!("-rw-r--r-- 2097151/2097151 1 {midnight} ids-fit"));
    assert_eq!(line_of(" ids-big"), format!("-rw-r--r-- 2097152/4294967295 1 {midnight} ids-big"));
    assert_eq!(line_of(" z/sh link to bin/sh"), format!("hrw-r--r-- 0/0 0 {midnight} z/sh link to bin/sh"));
    assert_eq!(line_of(" link -> bin/sh"), format!("lrw-r--r-- 0/0 0 {midnight} link -> bin/sh"));
    assert_eq!(line_of(" with-mtime"), "-rw-r--r-- 0/0 9 2020-01-01 03:25:45 with-mtime");
    let long = "l".repeat(101);
    assert_eq!(line_of(&format!("0:00 {long}")), format!("-rw-r--r-- 0/0 700 {midnight} {long}"));
    line_of(&format!(" link-long -> {long}"));
    line_of(&format!(" z/to-long link to {long}"));
    let slash = format!("{}/x", "s".repeat(99));
    assert_eq!(line_of(&slash), format!("-rw-r--r-- 0/0 5 {midnight} {slash}"), "no directory");
    line_of(" raw-\\377\\376");
}

#[test]
fn gnu_tar_takes_the_size_of_a_huge_file_from_its_pax_record() {
    for (size, blocks) in [((8u64 << 30) - 1, 1), (8 << 30, 3)] {
        let header = super::header(&samples::file("huge", size), None);
        assert_eq!(header.len(), blocks * super::BLOCK);
        // The content is not there, so the program ends with a complaint after the line that matters.
        let (_, listing, _) = run("tar", &["--full-time", "-tvf", "-"], &header).expect("GNU tar");
        assert!(listing.contains(&format!(" {size} 2020-01-01 00:00:00 huge")), "{listing}");
    }
}

#[test]
fn python_reads_every_field() {
    const SCRIPT: &str = "
import os, sys, tarfile
raw = lambda text: os.fsencode(text).hex()
for m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|', errors='surrogateescape'):
    x = [k[13:] + '=' + raw(v) for k, v in sorted(m.pax_headers.items()) if k.startswith('SCHILY.xattr.')]
    print(m.type.decode(), raw(m.name), oct(m.mode), m.uid, m.gid, m.size, int(m.mtime), raw(m.linkname),
          m.devmajor, m.devminor, m.offset_data if m.isreg() else 0, ','.join(x))
";
    let input = samples::everything();
    let Some((success, listing, complaint)) = run("python3", &["-c", SCRIPT], &samples::stream(&input))
    else {
        std::eprintln!("python3 is not installed: not compared");
        return;
    };
    assert!(success, "{complaint}");
    let expected: Vec<String> =
        input.entries.iter().map(|entry| python_line(entry, &input.entries)).collect();
    assert_eq!(listing.lines().collect::<Vec<_>>(), expected);
}

fn python_line(entry: &Entry, all: &[Entry]) -> String {
    let (kind, link, device, offset): (_, &[u8], _, _) = match &entry.kind {
        EntryKind::File { data_offset, .. } => (0, b"", (0, 0), *data_offset),
        EntryKind::HardLink { target } => (1, &all[*target as usize].path, (0, 0), 0),
        EntryKind::Symlink { target } => (2, target, (0, 0), 0),
        EntryKind::CharDevice { major, minor } => (3, b"", (*major, *minor), 0),
        EntryKind::BlockDevice { major, minor } => (4, b"", (*major, *minor), 0),
        EntryKind::Directory { .. } => (5, b"", (0, 0), 0),
        EntryKind::Fifo => (6, b"", (0, 0), 0),
    };
    let xattrs: Vec<String> = entry
        .xattrs
        .iter()
        .map(|xattr| format!("{}={}", String::from_utf8_lossy(&xattr.name), hex(&xattr.value)))
        .collect();
    // Python takes the final `/` off a directory.
    let name = if entry.path.is_empty() { b"." } else { entry.path.as_slice() };
    format!(
        "{kind} {} 0o{:o} {} {} {} {} {} {} {} {offset} {}",
        hex(name),
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size(),
        entry.mtime,
        hex(link),
        device.0,
        device.1,
        xattrs.join(",")
    )
}

#[test]
fn bsdtar_reads_every_entry() {
    let input = samples::everything();
    let arguments = [
        "-cf",
        "-",
        "--format=mtree",
        "--options=mtree:!all,mtree:type,mtree:size,mtree:time,mtree:uid,mtree:gid,mtree:mode",
        "@-",
    ];
    let Some((success, listing, complaint)) = run("bsdtar", &arguments, &samples::stream(&input)) else {
        std::eprintln!("bsdtar is not installed: not compared");
        return;
    };
    assert!(success, "{complaint}");
    assert_eq!(complaint, "");
    let count = |of: &str| listing.lines().filter(|line| line.contains(of)).count();
    assert_eq!(listing.lines().count(), input.entries.len() + 1, "{listing}");
    let files = |entry: &&Entry| matches!(entry.kind, EntryKind::File { .. } | EntryKind::HardLink { .. });
    assert_eq!(count(" type=file"), input.entries.iter().filter(files).count());
    assert_eq!(count(" type=dir"), input.entries.iter().filter(|entry| entry.is_directory()).count());
    assert_eq!(count("./raw-\\377\\376 "), 1, "{listing}");
    assert_eq!(count("uid=2097152 "), 1, "{listing}");
    assert_eq!(count(&format!("time={}.0", EPOCH + 12_345)), 1, "{listing}");
    assert_eq!(count(&format!("./{} ", "l".repeat(101))), 1, "{listing}");
}

#[test]
fn known_values() {
    let mut hash = [0u8; 32];
    assert_eq!(super::content_mtime(&hash), EPOCH);
    hash[..8].copy_from_slice(&(67_108_864u64 * 5 + 7).to_le_bytes());
    hash[8] = 1;
    assert_eq!(super::content_mtime(&hash), EPOCH + 7);
    assert_eq!([0, 1, 511, 512, 513].map(super::padding), [0, 511, 1, 0, 511]);
}
