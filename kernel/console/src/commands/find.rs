//! `find`: every path below one, in order.
//!
//! Plain, a path a line. With facts, the line of [`super::facts`]; with sums, `sha256=HEX` behind it for a regular file, or
//! `error=REASON` for one that cannot be read: the walk goes on, and how many there were is said at the end.

use alloc::{format, vec::Vec};

use plyos_layer_format::pages::PageSource;
use plyos_namespace::namespace::{Found, Namespace, NamespaceError, ReadDir};

use super::{
    content::{File, absolute, failed, resolve},
    facts::Facts,
    sums,
};
use crate::{
    command::Detail,
    failure::{Failure, said},
    system::Tree,
    terminal::{Out, Terminal},
    words::shown,
};

/// Entries between two breaths: their names are read in pages of many, most of which are cached.
const BREATH: u32 = 1000;

/// `find`.
pub(crate) fn run<T: Tree>(
    tree: &T,
    path: &[u8],
    detail: Detail,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let namespace = tree.namespace();
    let top = resolve(tree, path)?;
    let (mut unread, mut count) = (0u64, 0u64);
    let mut until_breath = BREATH;
    let mut each = |found: Result<Found, NamespaceError>| -> Result<(), Failure> {
        let found = found.map_err(failed(tree))?;
        until_breath -= 1;
        if until_breath == 0 {
            until_breath = BREATH;
            out.breathe()?;
        }
        if detail == Detail::Count {
            count += 1;
            return Ok(());
        }
        if detail == Detail::Path {
            return Ok(out.line(format_args!("{}", absolute(&found.entry.path)))?);
        }
        let mut line = Facts::of(tree, &found)?.line();
        if detail == Detail::FactsAndSum
            && let Some(file) = File::of(tree, found)?
        {
            match sums::sha256(tree, &file, out) {
                Ok(sum) => line += &format!(" sha256={sum}"),
                Err(Failure::Said(why)) => {
                    unread += 1;
                    line += &format!(" {}", shown(format!("error={why}").as_bytes()));
                }
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(out.line(format_args!("{line}"))?)
    };
    if top.entry.path.is_empty() {
        // All at once reads each page once and in order.
        namespace.walk().try_for_each(&mut each)?;
    } else {
        below(namespace, top).try_for_each(&mut each)?;
    }
    if detail == Detail::Count {
        return Ok(out.line(format_args!("{count}"))?);
    }
    match unread {
        0 => Ok(()),
        count => Err(said!("cannot read {count} of these files; 'log' tells of each what is wrong with it")),
    }
}

/// A path and all below it.
fn below<S: PageSource>(
    namespace: &Namespace<S>,
    top: Found,
) -> impl Iterator<Item = Result<Found, NamespaceError>> + '_ {
    let mut open: Vec<ReadDir<'_, S>> = Vec::new();
    let mut next = Some(Ok(top));
    core::iter::from_fn(move || {
        let found = next.take().or_else(|| {
            loop {
                match open.last_mut()?.next() {
                    Some(found) => return Some(found),
                    None => open.pop(),
                };
            }
        })?;
        if let Ok(directory) = &found
            && directory.entry.is_directory()
        {
            match namespace.children(directory) {
                Ok(children) => open.push(children),
                Err(error) => next = Some(Err(error)),
            }
        }
        if found.is_err() {
            open.clear();
        }
        Some(found)
    })
}
