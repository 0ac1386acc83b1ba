//! Looking into the active namespace: `ls`, `cat`.

use crate::content::View;
use crate::target::Target;
use plyos_layer_build::export::ContentSource;
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_namespace::namespace::Found;
use plyos_report::output::plain_bytes;
use plyos_report::{ExitCode, Failure, OrFail, print_json};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of content read at a time.
const PIECE: u64 = 256 << 10;

/// The path of an argument as the namespace spells it. Names may be any bytes, so arguments are not texts.
pub fn path_of(path: &Path) -> Vec<u8> {
    let parts = path.as_os_str().as_bytes().split(|b| *b == b'/').filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(&b'/')
}

/// A path for people and for JSON.
pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The failure of a path that does not exist.
pub fn missing(path: &Path) -> Failure {
    Failure::new(
        ExitCode::NotFound,
        format!("there is no {} in the active namespace; `pkg ls` lists what is there", path.display()),
    )
}

/// Follows symbolic links to what a path leads to.
fn resolve(view: &View, path: &Path) -> Result<Found, Failure> {
    view.namespace
        .resolve(&path_of(path))
        .or_fail(ExitCode::Store, format_args!("looking up {}", path.display()))?
        .ok_or_else(|| missing(path))
}

/// `pkg cat`
pub fn cat(target: &Target, path: &Path) -> Result<(), Failure> {
    let view = View::open(target)?;
    let found = resolve(&view, path)?;
    let (source, entry) = first_path(&view, &found, path)?;
    let EntryKind::File { size, data_offset, .. } = entry.kind else {
        let what =
            if found.entry.is_directory() { "a directory; `pkg ls` lists it" } else { "not a regular file" };
        return Err(Failure::new(ExitCode::Usage, format!("{} is {what}", path.display())));
    };
    let mut reader = view.reader(source)?;
    let mut out = std::io::stdout().lock();
    let mut buffer = vec![0; PIECE as usize];
    let mut done = 0;
    while done < size {
        let count = (size - done).min(PIECE);
        let piece = buffer.get_mut(..count as usize).unwrap_or_default();
        reader
            .read(data_offset + done, piece)
            .or_fail(ExitCode::Store, format_args!("reading {}", path.display()))?;
        match out.write_all(piece) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.or_fail(ExitCode::Failure, "writing to stdout")?,
        }
        done += count;
    }
    out.flush().or_fail(ExitCode::Failure, "writing to stdout")
}

/// Where the content of what was found lies: the layer, and the entry that holds the data of a hard link.
pub fn first_path(view: &View, found: &Found, path: &Path) -> Result<(usize, Entry), Failure> {
    let Some(source) = found.source else { return Ok((0, found.entry.clone())) };
    match (&found.entry.kind, view.namespace.layers().get(source.layer)) {
        (EntryKind::HardLink { target }, Some(layer)) => {
            let entry = layer
                .index
                .entry(*target)
                .or_fail(ExitCode::Store, format_args!("looking up {}", path.display()))?;
            Ok((source.layer, entry))
        }
        _ => Ok((source.layer, found.entry.clone())),
    }
}

/// `pkg ls`
pub fn ls(target: &Target, path: &Path, long: bool) -> Result<(), Failure> {
    let view = View::open(target)?;
    let found = resolve(&view, path)?;
    let doing = format!("listing {}", path.display());
    let rows: Vec<Found> = if found.entry.is_directory() {
        let children = view.namespace.children(&found).or_fail(ExitCode::Store, &doing)?;
        children.collect::<Result<_, _>>().or_fail(ExitCode::Store, &doing)?
    } else {
        vec![found]
    };
    if target.progress.json() {
        print_json(&rows.iter().map(|row| row_json(&view, row)).collect());
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    let terminal = out.is_terminal();
    for row in &rows {
        let line = if long { long_line(&view, row) } else { row.entry.name().to_vec() };
        // A layer's names must not steer the terminal.
        let line = if terminal { plain_bytes(&line) } else { line };
        if out.write_all(&line).and_then(|()| out.write_all(b"\n")).is_err() {
            break;
        }
    }
    Ok(())
}

fn layer_name(view: &View, found: &Found) -> String {
    let layer = found.source.and_then(|source| view.namespace.layers().get(source.layer));
    layer.map_or_else(String::new, |layer| format!("{}/{}", layer.info.kind, layer.info.name))
}

fn size_of(view: &View, found: &Found) -> u64 {
    first_path(view, found, Path::new("")).map_or(0, |(_, entry)| entry.size())
}

fn long_line(view: &View, found: &Found) -> Vec<u8> {
    let entry = &found.entry;
    let mut line = format!(
        "{}{:04o} {:>5}:{:<5} {:>11} {:<24} ",
        entry.kind.letter(),
        entry.mode,
        entry.uid,
        entry.gid,
        size_of(view, found),
        layer_name(view, found)
    )
    .into_bytes();
    line.extend_from_slice(entry.name());
    if let EntryKind::Symlink { target } = &entry.kind {
        line.extend_from_slice(b" -> ");
        line.extend_from_slice(target);
    }
    line
}

fn row_json(view: &View, found: &Found) -> Value {
    let entry = &found.entry;
    let target = match &entry.kind {
        EntryKind::Symlink { target } => Some(shown(target)),
        _ => None,
    };
    json!({
        "path": format!("/{}", shown(&entry.path)), "name": shown(entry.name()),
        "type": entry.kind.letter().to_string(), "mode": format!("{:04o}", entry.mode), "uid": entry.uid,
        "gid": entry.gid, "size": size_of(view, found), "mtime": entry.mtime, "target": target,
        "layer": layer_name(view, found),
    })
}
