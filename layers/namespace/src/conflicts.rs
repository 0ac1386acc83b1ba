//! Which layers cannot stand side by side: they have one path, and no rule says whose is seen.
//!
//! The sorted entries of all layers are merged once, and of what only one layer has nothing is read. Refused are a directory
//! against anything else (one conflict, whatever is below), and two files (or links, devices, pipes) of two layers of which
//! neither replaces the other by name. Not refused: any file against the base's, whose is seen unless it is replaced;
//! directories, whose differing modes and owners are told ([`Differing`]); and what is equal: of one type, with one mode,
//! owner, group and set of extended attributes, and with one content, link target or device number. Times do not count.
//!
//! Equal content is equal chunk slices. A file of [`LARGE_FILE`] bytes or more is cut on its own, so the same content has the
//! same chunks and other chunks are other content. A smaller one shares chunks with its neighbours: where its chunks differ, the
//! files differ if both times are made of the content and are not equal; else only the bytes can tell, and the comparer is asked.
//!
//! [`LARGE_FILE`]: plyos_layer_format::chunks::LARGE_FILE

use alloc::{string::String, vec::Vec};
use core::fmt;

use plyos_layer_format::entry::{Entry, EntryKind};

pub use crate::merge::MergeError;
use crate::{
    layer::LayerInfo,
    merge::{Claim, EntrySource, Group, Iterated, LayerStream, Merge},
    precedence::{self, Has},
};

/// How many conflicts are listed by name; the rest is counted. More would not help anybody to decide what to remove.
pub const MAX_LISTED: usize = 20;

/// Why two layers cannot both have a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Two different files, and neither layer replaces the other.
    TwoFiles,
    /// A directory against something else.
    DirectoryAgainstFile,
    /// Each of them would replace the other, directly or through a third.
    Circle,
}

/// Two layers with one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path in the namespace, relative.
    pub path: Vec<u8>,
    /// Name of one layer.
    pub first: String,
    /// Name of the other.
    pub second: String,
    /// Why this is refused.
    pub why: Why,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = (&self.first, &self.second);
        write!(f, "/{}: ", String::from_utf8_lossy(&self.path))?;
        match self.why {
            Why::TwoFiles => {
                write!(f, "{first} and {second} have different files here and neither replaces the other")
            }
            Why::DirectoryAgainstFile => {
                write!(f, "{first} and {second} disagree whether this is a directory")
            }
            Why::Circle => write!(f, "{first} and {second} would each replace the other's file"),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conflicts {
    /// The first [`MAX_LISTED`], in path order, one for each path.
    pub listed: Vec<Conflict>,
    /// How many there are in all.
    pub total: u64,
    /// Directories that layers describe differently, the first [`MAX_LISTED`] in path order. They merge all the same.
    pub differing: Vec<Differing>,
    /// How many there are in all.
    pub differing_total: u64,
}

/// A directory that layers do not describe alike: mode, owner or extended attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The path in the namespace, relative.
    pub path: Vec<u8>,
    /// Name of the layer whose description is seen.
    pub seen: String,
    /// Name of the first layer that says something else.
    pub other: String,
    /// Mode, owner and group of both; equal when only extended attributes differ.
    pub said: [(u16, u32, u32); 2],
}

impl fmt::Display for Differing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(mode, uid, gid), (other_mode, other_uid, other_gid)] = self.said;
        write!(
            f,
            "/{}: seen as {} has it ({mode:04o} {uid}:{gid}), not as {} ({other_mode:04o} {other_uid}:{other_gid})",
            String::from_utf8_lossy(&self.path),
            self.seen,
            self.other
        )
    }
}

impl Conflicts {
    /// Whether the layers can stand side by side. Directories that differ are no conflict.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }
}

/// A regular file, or another name of one, that a comparer is asked about.
#[derive(Debug, Clone, Copy)]
pub struct FileClaim<'a> {
    /// Number of the layer in the order given.
    pub layer: usize,
    /// Number of the entry in the layer's index.
    pub ordinal: u64,
    /// A [`EntryKind::File`] or [`EntryKind::HardLink`]; its path is that of the namespace.
    pub entry: &'a Entry,
}

/// Finds the conflicts of layers given in generation order, each with its entries in index order.
///
/// Layers that are not mounted are passed over. `same` is asked about two files with equal mode and owner (and, where
/// both are first paths, equal size and attributes) whether their content is the same; it looks at sizes and attributes of hard
/// links itself. A comparer that does not know says no.
pub fn find<'a, I, E>(
    layers: impl IntoIterator<Item = (&'a LayerInfo, I)>,
    same: impl FnMut(FileClaim<'_>, FileClaim<'_>) -> Result<bool, E>,
) -> Result<Conflicts, MergeError<E>>
where
    I: IntoIterator<Item = Result<Entry, E>>,
{
    find_in(layers.into_iter().map(|(info, entries)| (info, Iterated::new(entries.into_iter()))), same)
}

/// [`find`] over sources that can pass over whole directories.
pub(crate) fn find_in<'a, S: EntrySource>(
    layers: impl IntoIterator<Item = (&'a LayerInfo, S)>,
    same: impl FnMut(FileClaim<'_>, FileClaim<'_>) -> Result<bool, S::Error>,
) -> Result<Conflicts, MergeError<S::Error>> {
    let (mut infos, mut streams) = (Vec::new(), Vec::new());
    for (number, (info, entries)) in layers.into_iter().enumerate() {
        infos.push(info);
        if info.is_mounted() {
            streams.push(LayerStream::new(number, info.prefix(), entries));
        }
    }
    let mut judge = Judge { infos: &infos, same };
    let mut merge = Merge::new(streams);
    let mut found = Conflicts::default();
    while let Some(group) = merge.next_group() {
        let group = group?;
        if group.claims.len() == 1 {
            merge.skip_below()?;
            continue;
        }
        judge.note_differing(&group, &mut found);
        if let Some(conflict) = judge.conflict(&group).map_err(MergeError::Read)? {
            found.total += 1;
            if found.listed.len() < MAX_LISTED {
                found.listed.push(conflict);
            }
        }
    }
    Ok(found)
}

struct Judge<'a, F> {
    infos: &'a [&'a LayerInfo],
    same: F,
}

impl<F, E> Judge<'_, F>
where
    F: FnMut(FileClaim<'_>, FileClaim<'_>) -> Result<bool, E>,
{
    /// The first reason to refuse this path.
    fn conflict(&mut self, group: &Group) -> Result<Option<Conflict>, E> {
        let claims: Vec<(&LayerInfo, &Claim)> = group
            .claims
            .iter()
            .filter_map(|claim| self.infos.get(claim.layer).map(|info| (*info, claim)))
            .collect();
        let named = |a: &LayerInfo, b: &LayerInfo, path: &[u8], why| {
            Some(Conflict { path: path.to_vec(), first: a.name.clone(), second: b.name.clone(), why })
        };
        let Some((first, rest)) = claims.split_first() else { return Ok(None) };
        let path = &first.1.entry.path;
        let is_directory = first.1.entry.is_directory();
        if let Some(other) = rest.iter().find(|(_, claim)| claim.entry.is_directory() != is_directory) {
            return Ok(named(first.0, other.0, path, Why::DirectoryAgainstFile));
        }
        if is_directory {
            return Ok(None);
        }
        // Files known to be the same have the same number, so that a hundred equal ones cost a hundred comparisons and
        // not five thousand.
        let mut same_as: Vec<usize> = (0..claims.len()).collect();
        for (b_at, (b, b_claim)) in claims.iter().enumerate() {
            for (a_at, (a, a_claim)) in claims.iter().enumerate().take(b_at) {
                let (Some(&a_class), Some(&b_class)) = (same_as.get(a_at), same_as.get(b_at)) else {
                    continue;
                };
                if a_class == b_class || precedence::beats(a, b) || precedence::beats(b, a) {
                    continue;
                }
                if !self.is_same(a_claim, b_claim)? {
                    let why = if a.replaces(b) { Why::Circle } else { Why::TwoFiles };
                    return Ok(named(a, b, path, why));
                }
                same_as.iter_mut().filter(|class| **class == b_class).for_each(|class| *class = a_class);
            }
        }
        let seen = precedence::seen(claims.iter().map(|(info, _)| (*info, Has::Other)));
        let Some((seen, _)) = claims.get(seen) else { return Ok(None) };
        let Some((above, _)) = claims.iter().find(|(info, _)| precedence::beats(info, seen)) else {
            return Ok(None);
        };
        // Each pair is decided and still nobody is first: no matter, when the files are all the same.
        for ((_, claim), class) in rest.iter().zip(same_as.iter().skip(1)) {
            if same_as.first() != Some(class) && !self.is_same(first.1, claim)? {
                return Ok(named(seen, above, path, Why::Circle));
            }
        }
        Ok(None)
    }

    /// Notes a directory that layers describe differently.
    fn note_differing(&self, group: &Group, found: &mut Conflicts) {
        let described = group.claims.iter().filter(|claim| claim.ordinal.is_some());
        let described = described.filter_map(|claim| Some((*self.infos.get(claim.layer)?, &claim.entry)));
        if group.claims.iter().any(|claim| !claim.entry.is_directory()) {
            return;
        }
        let at = precedence::seen(described.clone().map(|(info, _)| (info, Has::Directory)));
        let Some((seen, seen_entry)) = described.clone().nth(at) else { return };
        let said = |entry: &Entry| (entry.mode, entry.uid, entry.gid);
        let differs = |entry: &Entry| said(entry) != said(seen_entry) || entry.xattrs != seen_entry.xattrs;
        let Some((other, other_entry)) = described.clone().find(|(_, entry)| differs(entry)) else { return };
        found.differing_total += 1;
        if found.differing.len() < MAX_LISTED {
            found.differing.push(Differing {
                path: seen_entry.path.clone(),
                seen: seen.name.clone(),
                other: other.name.clone(),
                said: [said(seen_entry), said(other_entry)],
            });
        }
    }

    /// Whether two claims that are no directories are the same file.
    fn is_same(&mut self, a: &Claim, b: &Claim) -> Result<bool, E> {
        let metadata = |claim: &Claim| (claim.entry.mode, claim.entry.uid, claim.entry.gid);
        if metadata(a) != metadata(b) {
            return Ok(false);
        }
        let file = |kind: &EntryKind| matches!(kind, EntryKind::File { .. } | EntryKind::HardLink { .. });
        if !file(&a.entry.kind) || !file(&b.entry.kind) {
            return Ok(a.entry.kind == b.entry.kind && a.entry.xattrs == b.entry.xattrs);
        }
        if let (EntryKind::File { size: a_size, .. }, EntryKind::File { size: b_size, .. }) =
            (&a.entry.kind, &b.entry.kind)
            && (a_size != b_size || a.entry.xattrs != b.entry.xattrs)
        {
            return Ok(false);
        }
        let (Some(a_ordinal), Some(b_ordinal)) = (a.ordinal, b.ordinal) else { return Ok(false) };
        (self.same)(
            FileClaim { layer: a.layer, ordinal: a_ordinal, entry: &a.entry },
            FileClaim { layer: b.layer, ordinal: b_ordinal, entry: &b.entry },
        )
    }
}

#[cfg(test)]
mod tests;
