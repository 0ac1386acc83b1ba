//! A tree as `tar -tv --numeric-owner --full-time` shows it in the C locale and UTC. Written from the index, so that GNU tar, which reads
//! the stream, judges both.

use std::fmt::Write as _;

use anyhow::Result;
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_trust::time;

use crate::tree::{first_path, take_apart};

/// The arguments of tar that give this listing.
pub const TAR_ARGUMENTS: &[&str] = &[
    "-tv",
    "--numeric-owner",
    "--full-time",
    "--quoting-style=escape",
    "--warning=no-unknown-keyword",
    "-f",
    "-",
];

/// The listing of an index's tree.
pub fn write(index: &[u8]) -> Result<Vec<u8>> {
    let entries = take_apart(index)?.entries;
    let lines = entries.iter().map(|entry| line(entry, first_path(&entries, entry)));
    Ok(lines.collect::<Result<String>>()?.into_bytes())
}

fn line(entry: &Entry, first: Option<&[u8]>) -> Result<String> {
    let (letter, size, link) = match &entry.kind {
        EntryKind::Directory { .. } => ('d', "0".into(), None),
        EntryKind::File { size, .. } => ('-', size.to_string(), None),
        EntryKind::Symlink { target } => ('l', "0".into(), Some((" -> ", &target[..]))),
        EntryKind::HardLink { .. } => ('h', "0".into(), Some((" link to ", first.unwrap_or_default()))),
        EntryKind::CharDevice { major, minor } => ('c', format!("{major},{minor}"), None),
        EntryKind::BlockDevice { major, minor } => ('b', format!("{major},{minor}"), None),
        EntryKind::Fifo => ('p', "0".into(), None),
    };
    let owner = format!("{}/{}", entry.uid, entry.gid);
    // tar pads owner and size together, to a width that grows with the lines before; the reader joins the spaces.
    let when = time::print(u64::try_from(entry.mtime)?).replace('T', " ").replace('Z', "");
    let mut out = format!("{letter}{} {owner} {size} {when} {}", permissions(entry.mode), name(entry));
    if let Some((arrow, target)) = link {
        write!(out, "{arrow}{}", escaped(target))?;
    }
    out.push('\n');
    Ok(out)
}

fn name(entry: &Entry) -> String {
    match (entry.path.is_empty(), entry.is_directory()) {
        (true, _) => "./".into(),
        (false, true) => escaped(&entry.path) + "/",
        (false, false) => escaped(&entry.path),
    }
}

fn permissions(mode: u16) -> String {
    let mut out = String::new();
    for (at, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> at;
        out.push(if bits & 4 == 0 { '-' } else { 'r' });
        out.push(if bits & 2 == 0 { '-' } else { 'w' });
        out.push(match (bits & 1 != 0, mode & special != 0) {
            (false, false) => '-',
            (true, false) => 'x',
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
        });
    }
    out
}

/// Bytes outside of ASCII as tar escapes them.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = match byte {
            b'!'..=b'~' => write!(out, "{}", char::from(*byte)),
            _ => write!(out, "\\{byte:03o}"),
        };
        out
    })
}
