//! What changed between two trees: what was added, removed, given other content or other attributes.
//!
//! [`Diff`] reads two [`Tree`]s side by side, each with its entries in path order, and holds one entry of each. What it
//! cannot know of entries alone it asks a [`Compare`]: whether two directories are the same with all below, which are then
//! passed over, and whether two files have one content. [`sides`] has both for whole namespaces and for single layers;
//! `pkg diff` and `plyos diff` say the same by the same rules.
//!
//! Number and place of a file's other names are no change of the file: each name is an entry of its own. Extended
//! attributes of a file with several names are compared at its first.

use core::cmp::Ordering;

use plyos_layer_format::entry::{Entry, EntryKind, compare_paths};

use crate::namespace::Sameness;

pub mod sides;

/// Entries in path order.
pub trait Tree {
    /// What is at a path.
    type Item: AsRef<Entry>;
    /// Why it could not be read.
    type Error;

    /// The next one; after an error, none.
    fn next_item(&mut self) -> Option<Result<Self::Item, Self::Error>>;

    /// Passes over everything below the directory that was handed out last.
    fn skip_below(&mut self) -> Result<(), Self::Error>;
}

/// What entries alone do not tell. `before` and `after` stand at one path.
pub trait Compare<I> {
    /// Why something could not be compared.
    type Error;

    /// Whether two directories are known to be the same with all that is below. Who does not know says no.
    fn is_same_below(&mut self, before: &I, after: &I) -> bool;

    /// Whether two regular files, or other names of some, have the same content.
    fn content(&mut self, before: &I, after: &I) -> Result<Sameness, Self::Error>;
}

/// How something changed that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A file is a directory now, or a link, or the like.
    Type,
    /// A file's bytes, a link's target or a device's number.
    Content,
    /// Perhaps a file's bytes: nothing at hand tells.
    Perhaps,
    /// Only mode, owner, time or extended attributes.
    Attributes,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<I> {
    /// It was not there before.
    Added(I),
    /// It is not there any more.
    Removed(I),
    /// It was there and is there.
    Changed {
        /// What it was.
        before: I,
        /// What it is.
        after: I,
        /// How it changed.
        what: What,
    },
}

impl<I> Change<I> {
    /// How lists mark it: `A` added, `D` removed, `M` another content (`?` perhaps), `T` another type, `m` attributes only.
    pub const fn letter(&self) -> char {
        match self {
            Self::Added(_) => 'A',
            Self::Removed(_) => 'D',
            Self::Changed { what: What::Type, .. } => 'T',
            Self::Changed { what: What::Content, .. } => 'M',
            Self::Changed { what: What::Perhaps, .. } => '?',
            Self::Changed { what: What::Attributes, .. } => 'm',
        }
    }

    /// What is at the path now, or was there last.
    pub const fn item(&self) -> &I {
        match self {
            Self::Added(item) | Self::Removed(item) | Self::Changed { after: item, .. } => item,
        }
    }
}

/// All differences between two trees, in path order. Ends after an error.
pub struct Diff<T: Tree, C> {
    before: Side<T>,
    after: Side<T>,
    compare: C,
}

/// One tree, with the entry that was read ahead.
struct Side<T: Tree> {
    tree: T,
    ahead: Option<T::Item>,
    is_over: bool,
}

impl<T: Tree> Side<T> {
    const fn new(tree: T) -> Self {
        Self { tree, ahead: None, is_over: false }
    }

    fn look(&mut self) -> Result<Option<&Entry>, T::Error> {
        if self.ahead.is_none() && !self.is_over {
            self.ahead = self.tree.next_item().transpose()?;
            self.is_over = self.ahead.is_none();
        }
        Ok(self.ahead.as_ref().map(AsRef::as_ref))
    }

    fn end(&mut self) {
        (self.ahead, self.is_over) = (None, true);
    }
}

impl<T: Tree, C: Compare<T::Item>> Diff<T, C>
where
    C::Error: From<T::Error>,
{
    /// The differences from `before` to `after`.
    pub const fn new(before: T, after: T, compare: C) -> Self {
        Self { before: Side::new(before), after: Side::new(after), compare }
    }

    fn step(&mut self) -> Result<Option<Change<T::Item>>, C::Error> {
        loop {
            let order = match (self.before.look()?, self.after.look()?) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => compare_paths(&before.path, &after.path),
            };
            match order {
                Ordering::Less => return Ok(self.before.ahead.take().map(Change::Removed)),
                Ordering::Greater => return Ok(self.after.ahead.take().map(Change::Added)),
                Ordering::Equal => {}
            }
            let (Some(before), Some(after)) = (self.before.ahead.take(), self.after.ahead.take()) else {
                return Ok(None);
            };
            if let Some(what) = self.judge(&before, &after)? {
                return Ok(Some(Change::Changed { before, after, what }));
            }
        }
    }

    /// How two entries at one path differ. Nothing has been read ahead yet.
    fn judge(&mut self, before: &T::Item, after: &T::Item) -> Result<Option<What>, C::Error> {
        let (old, new) = (before.as_ref(), after.as_ref());
        let is_file =
            |entry: &Entry| matches!(entry.kind, EntryKind::File { .. } | EntryKind::HardLink { .. });
        match (is_file(old), is_file(new)) {
            (true, true) => match self.compare.content(before, after)? {
                Sameness::Same => {}
                Sameness::Different => return Ok(Some(What::Content)),
                Sameness::Unknown => return Ok(Some(What::Perhaps)),
            },
            (false, false) if old.is_directory() && new.is_directory() => {
                if self.compare.is_same_below(before, after) {
                    self.before.tree.skip_below()?;
                    self.after.tree.skip_below()?;
                    return Ok(None);
                }
            }
            (false, false) if core::mem::discriminant(&old.kind) == core::mem::discriminant(&new.kind) => {
                if old.kind != new.kind {
                    return Ok(Some(What::Content));
                }
            }
            _ => return Ok(Some(What::Type)),
        }
        let said = |entry: &Entry| (entry.mode, entry.uid, entry.gid, entry.mtime);
        let is_link = |entry: &Entry| matches!(entry.kind, EntryKind::HardLink { .. });
        let attributes = is_link(old) || is_link(new) || old.xattrs == new.xattrs;
        Ok((said(old) != said(new) || !attributes).then_some(What::Attributes))
    }
}

impl<T: Tree, C: Compare<T::Item>> Iterator for Diff<T, C>
where
    C::Error: From<T::Error>,
{
    type Item = Result<Change<T::Item>, C::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.before.end();
            self.after.end();
        }
        step.transpose()
    }
}

/// How many, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Files, links, devices and pipes.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of content: as they are now, of what was removed as they were. A file with several names counts once.
    pub bytes: u64,
}

impl Count {
    /// Entries of every type.
    pub const fn number(&self) -> u64 {
        self.files.saturating_add(self.directories)
    }

    fn add(&mut self, entry: &Entry) {
        *(if entry.is_directory() { &mut self.directories } else { &mut self.files }) += 1;
        self.bytes = self.bytes.saturating_add(entry.size());
    }
}

/// The differences, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// What was not there before.
    pub added: Count,
    /// What is not there any more.
    pub removed: Count,
    /// What has another content or type.
    pub changed: Count,
    /// What may have another content.
    pub perhaps: Count,
    /// What has other attributes only.
    pub attributes: Count,
}

impl Summary {
    /// Counts one more difference.
    pub fn add<I: AsRef<Entry>>(&mut self, change: &Change<I>) {
        let count = match change {
            Change::Added(_) => &mut self.added,
            Change::Removed(_) => &mut self.removed,
            Change::Changed { what: What::Type | What::Content, .. } => &mut self.changed,
            Change::Changed { what: What::Perhaps, .. } => &mut self.perhaps,
            Change::Changed { what: What::Attributes, .. } => &mut self.attributes,
        };
        count.add(change.item().as_ref());
    }

    /// The counts by their names.
    pub const fn rows(&self) -> [(&'static str, Count); 5] {
        [
            ("added", self.added),
            ("removed", self.removed),
            ("changed", self.changed),
            ("perhaps changed", self.perhaps),
            ("attributes only", self.attributes),
        ]
    }
}

#[cfg(test)]
mod tests;
