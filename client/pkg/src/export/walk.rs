//! The entries of a whole namespace, as one stream to be written.

use crate::content::View;
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_namespace::namespace::{NamespaceError, Source};
use std::cell::Cell;
use std::collections::HashMap;

/// Entries of the whole namespace. `current` is set to the layer of each entry as it is handed out, because offsets
/// count in their own layer's stream; hard links are numbered anew, because other layers' entries stand between.
pub fn entries<'a>(
    view: &'a View,
    current: &'a Cell<usize>,
) -> impl Iterator<Item = Result<Entry, NamespaceError>> + 'a {
    let mut numbers: HashMap<Source, u64> = HashMap::new();
    view.namespace.walk().enumerate().map(move |(number, found)| {
        let found = found?;
        let mut entry = found.entry;
        let Some(source) = found.source else { return Ok(entry) };
        current.set(source.layer);
        match entry.kind {
            EntryKind::File { links, .. } if links > 1 => {
                numbers.insert(source, number as u64);
            }
            EntryKind::HardLink { target } => {
                let first = Source { layer: source.layer, ordinal: target };
                entry.kind = match numbers.get(&first) {
                    Some(number) => EntryKind::HardLink { target: *number },
                    // The first path is not seen here: another layer's file stands there. This path holds the data.
                    None => {
                        numbers.insert(first, number as u64);
                        first_kind(view, first)?.unwrap_or(EntryKind::HardLink { target })
                    }
                };
            }
            _ => {}
        }
        Ok(entry)
    })
}

fn first_kind(view: &View, first: Source) -> Result<Option<EntryKind>, NamespaceError> {
    let Some(layer) = view.namespace.layers().get(first.layer) else { return Ok(None) };
    let entry = layer
        .index
        .entry(first.ordinal)
        .map_err(|source| NamespaceError::Index { layer: layer.info.name.clone(), source })?;
    Ok(Some(entry.kind))
}
