//! Following symbolic links inside a namespace, never out of it.

use alloc::{vec, vec::Vec};

use plyos_layer_format::{entry::EntryKind, pages::PageSource};

use super::{Found, Namespace, NamespaceError};

/// Most symbolic links that are followed for one path, as on Linux.
pub const MAX_LINKS: usize = 40;

impl<S: PageSource> Namespace<S> {
    /// What `path` leads to, with all symbolic links followed, the last one included; `None` when that does not exist.
    /// Absolute targets start at the namespace's root, and `..` in the root stays there.
    pub fn resolve(&self, path: &[u8]) -> Result<Option<Found>, NamespaceError> {
        // Components that are still to go, the next one last.
        let mut ahead: Vec<Vec<u8>> = components(path);
        let mut above: Vec<Found> = Vec::new();
        let mut here = self.root()?;
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here = above.pop().unwrap_or(here);
                    continue;
                }
                _ => {}
            }
            let Some(child) = self.child(&here, &name)? else { return Ok(None) };
            match &child.entry.kind {
                EntryKind::Directory { .. } => above.push(core::mem::replace(&mut here, child)),
                EntryKind::Symlink { target } => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(NamespaceError::TooManyLinks { path: path.to_vec() });
                    }
                    if target.starts_with(b"/") {
                        here = above.drain(..).next().unwrap_or(here);
                    }
                    ahead.append(&mut components(target));
                }
                // Nothing is below what is no directory, not even `.`.
                _ => return Ok(ahead.is_empty().then_some(child)),
            }
        }
        Ok(Some(here))
    }
}

/// The components, the first one last. Empty ones are kept: a trailing `/` asks for a directory.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![];
    parts.extend(path.rsplit(|byte| *byte == b'/').map(<[u8]>::to_vec));
    parts
}
