//! `ls`, `cat`, `stat`: looking at one path.

use alloc::{string::String, vec::Vec};

use plyos_layer_format::entry::EntryKind;
use plyos_namespace::namespace::Found;
use plyos_trust::time;

use super::{
    content::{File, at, failed, resolve},
    facts::Facts,
};
use crate::{
    failure::Failure,
    glyph,
    system::Tree,
    terminal::{Out, Terminal},
    words::shown,
};

/// `ls`: a directory's names, or the one path that is no directory.
pub(crate) fn list<T: Tree>(
    tree: &T,
    path: &[u8],
    long: bool,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let namespace = tree.namespace();
    let mut found = at(tree, path)?;
    // A link to a directory shows what is in it, as the path that leads there would.
    if let EntryKind::Symlink { .. } = found.entry.kind
        && !long
        && let Ok(target) = resolve(tree, path)
        && target.entry.is_directory()
    {
        found = target;
    }
    if !found.entry.is_directory() {
        return row(tree, &found, long, out);
    }
    for child in namespace.children(&found).map_err(failed(tree))? {
        row(tree, &child.map_err(failed(tree))?, long, out)?;
    }
    Ok(())
}

fn row<T: Tree>(
    tree: &T,
    found: &Found,
    long: bool,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let name = shown(found.entry.name());
    if !long {
        return Ok(out.line(format_args!("{name}"))?);
    }
    let facts = Facts::of(tree, found)?;
    let (mode, links, entry) = (facts.mode(), facts.links(), &facts.entry);
    let owner = alloc::format!("{}:{}", entry.uid, entry.gid);
    let size = match facts.device() {
        Some((major, minor)) => alloc::format!("{major},{minor}"),
        None => alloc::format!("{}", entry.size()),
    };
    let when = time::print(entry.mtime.max(0) as u64);
    let to = facts.target().map(|target| alloc::format!(" -> {target}")).unwrap_or_default();
    Ok(out.line(format_args!("{mode} {links:>3} {owner:<9} {size:>10} {when} {name}{to}"))?)
}

/// `cat`: a file's content, as far as it can be shown.
pub(crate) fn show<T: Tree>(tree: &T, path: &[u8], out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    let file = File::open(tree, path)?;
    // A character may lie across two pieces: its start waits for the rest.
    let mut waiting: Vec<u8> = Vec::new();
    let mut last = b'\n';
    file.each(tree, 0..file.size, |piece| {
        waiting.extend_from_slice(piece);
        let rest = waiting.split_off(glyph::whole(&waiting));
        last = waiting.last().copied().unwrap_or(last);
        out.text(&waiting)?;
        waiting = rest;
        Ok(())
    })?;
    out.text(&waiting)?;
    if last != b'\n' || !waiting.is_empty() {
        out.line(format_args!(""))?;
    }
    Ok(())
}

/// `stat`: all that is known of a path.
pub(crate) fn tell<T: Tree>(tree: &T, path: &[u8], out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    let namespace = tree.namespace();
    let found = at(tree, path)?;
    let facts = Facts::of(tree, &found)?;
    let entry = &facts.entry;
    out.line(format_args!("path   {}", facts.path))?;
    out.line(format_args!("type   {}", facts.kind()))?;
    if let Some(target) = facts.target() {
        out.line(format_args!("to     {target}"))?;
    }
    if let Some((major, minor)) = facts.device() {
        out.line(format_args!("device {major}:{minor}"))?;
    }
    out.line(format_args!("mode   {:04o} {}", entry.mode, facts.mode()))?;
    out.line(format_args!("owner  {}:{}", entry.uid, entry.gid))?;
    if let EntryKind::File { size, links, .. } = entry.kind {
        out.line(format_args!("size   {size}"))?;
        out.line(format_args!("links  {links}"))?;
    }
    out.line(format_args!("mtime  {} ({})", entry.mtime, time::print(entry.mtime.max(0) as u64)))?;
    for xattr in &entry.xattrs {
        out.line(format_args!("xattr  {} {}", shown(&xattr.name), shown(&xattr.value)))?;
    }
    let layer =
        facts.source.and_then(|source| namespace.layers().get(source.layer).map(|layer| (source, layer)));
    match layer {
        Some((source, layer)) => {
            let name = glyph::line(&layer.info.name);
            out.line(format_args!(
                "layer  {}/{name} {} entry {}",
                layer.info.kind,
                layer.index.id(),
                source.ordinal
            ))?;
        }
        None => out.line(format_args!("layer  none: it only leads to where a layer is mounted"))?,
    }
    chunks(tree, &found, out)
}

/// Where a file's content lies in its layer's chunks.
fn chunks<T: Tree>(tree: &T, found: &Found, out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    /// More of them would only fill the screen.
    const MOST: usize = 16;
    let Some(source) = found.source else { return Ok(()) };
    let slices = tree.namespace().slices(source.layer, &found.entry).map_err(failed(tree))?;
    for (number, slice) in slices.enumerate() {
        let slice = slice.map_err(failed(tree))?;
        if number == MOST {
            return Ok(out.line(format_args!("chunk  … and more"))?);
        }
        let (id, range) = (slice.chunk.id, slice.range);
        out.line(format_args!("chunk  {} {id} bytes {}..{}", slice.ordinal, range.start, range.end))?;
    }
    Ok(())
}

/// A text of one line for people, or what stands for none.
pub(crate) fn or_none(text: &str) -> String {
    if text.is_empty() { String::from("none") } else { glyph::line(text) }
}
