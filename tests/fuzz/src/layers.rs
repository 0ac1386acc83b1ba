//! Layers: index, descriptor, frame table, footer, blob, manifest, generation.

use plyos_layer_build::reader::{Blob, agree};
use plyos_layer_format::agreement::expectations;
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::footer::Footer;
use plyos_layer_format::frames::FrameTable;
use plyos_layer_format::index::{self, Index, Limits};
use plyos_layer_format::pages::{PAGE_SIZE, PageHashes, SlicePages};
use plyos_namespace::generation::Generation;
use plyos_transfer::layer::LayerManifest;
use std::io::Cursor;

/// An index that passes the full check can be walked, looked up and sliced without an error, and agrees with its header.
pub fn layer_index(data: &[u8]) {
    let Ok(index) = index::check(data, &Limits::default()) else { return };
    let mut entries = 0;
    for entry in index.entries() {
        let Ok(entry) = entry else { panic!("a checked index has an unreadable entry") };
        assert!(!entry.path.starts_with(b"/") && !entry.path.split(|b| *b == b'/').any(|part| part == b".."));
        let Ok(Some((found, _))) = index.lookup(&entry.path) else {
            panic!("an entry is not found by its path")
        };
        assert_eq!(found, entries);
        entries += 1;
    }
    assert_eq!(entries, index.header().entry_count);
    let mut stream = 0;
    for chunk in index.chunks() {
        let Ok(chunk) = chunk else { panic!("a checked index has an unreadable chunk") };
        stream += u64::from(chunk.length);
    }
    assert_eq!(stream, index.header().stream_len);
}

/// An index that is only opened, as a kernel mounts it, gives answers or errors for anything that is asked.
pub fn layer_index_pages(data: &[u8]) {
    let whole = data.len() / PAGE_SIZE * PAGE_SIZE;
    let bytes = data.get(..whole).unwrap_or_default();
    let Ok(index) = Index::open(index::layer_id(bytes), PageHashes::compute(bytes), SlicePages(bytes)) else {
        return;
    };
    let _ = index.lookup(b"usr/bin/hello");
    let _ = index.lookup(b"");
    let _ = index.entry(u64::MAX);
    let _ = index.chunk_at(data.len() as u64);
    // Bounded: claimed counts may be enormous.
    for child in index.children(0).take(1000) {
        if child.is_err() {
            break;
        }
    }
    for (entry, chunk) in index.entries().zip(index.chunks()).take(1000) {
        if entry.is_err() || chunk.is_err() {
            break;
        }
    }
}

/// A descriptor has one spelling.
pub fn descriptor(data: &[u8]) {
    if let Ok(descriptor) = Descriptor::parse(data) {
        assert_eq!(descriptor.emit(), data, "emit(parse(x)) must be x");
        assert_eq!(Descriptor::from_json(&descriptor.to_json()).ok(), Some(descriptor));
    }
}

/// A frame table has one spelling, and its places follow each other.
pub fn frame_table(data: &[u8]) {
    if let Ok(table) = FrameTable::parse(data) {
        let Ok(emitted) = table.emit() else { panic!("a parsed table cannot be emitted") };
        assert_eq!(data.get(..emitted.len()), Some(emitted.as_slice()), "emit(parse(x)) must be x");
        let end = table.places().last().map_or(0, |(offset, length)| offset + u64::from(length));
        assert_eq!(end, table.frames_len());
    }
}

/// A footer has one spelling.
pub fn footer(data: &[u8]) {
    if let Ok(footer) = Footer::parse(data) {
        assert_eq!(footer.emit().as_slice(), data, "emit(parse(x)) must be x");
        let _ = footer.check_blob(data.len() as u64);
    }
}

/// A blob opens or is refused; what it hands out is verified.
pub fn blob(data: &[u8]) {
    let Ok(mut blob) = Blob::open(Cursor::new(data), &Limits::default()) else { return };
    let Ok((index, frames)) = blob.parts() else { return };
    for (ordinal, chunk) in index.chunks().take(64).enumerate() {
        let Ok(chunk) = chunk else { break };
        if let Ok(bytes) = frames.chunk(ordinal as u64, &chunk) {
            assert_eq!(bytes.len(), chunk.length as usize);
        }
    }
}

/// What a stream must hold follows from any index that opens: it is told or refused, and comes to an end. A whole blob agrees or
/// does not, and where it does each chunk that was compared holds what was expected.
pub fn agreement(data: &[u8]) {
    let whole = data.len() / PAGE_SIZE * PAGE_SIZE;
    let bytes = data.get(..whole).unwrap_or_default();
    if let Ok(index) = Index::open(index::layer_id(bytes), PageHashes::compute(bytes), SlicePages(bytes)) {
        // Bounded: claimed counts may be enormous, and a chunk of headers is held.
        for expected in expectations(&index).take(100) {
            let Ok(expected) = expected else { break };
            assert!(expected.held() <= expected.chunk.length as usize);
            assert!(expected.is_content() || expected.check(&[]).is_err());
        }
    }
    let Ok(mut blob) = Blob::open(Cursor::new(data), &Limits::default()) else { return };
    let Ok((index, mut frames)) = blob.parts() else { return };
    if let Ok(read) = agree(&index, &mut frames) {
        assert!(read > 0 && read <= index.chunk_count(), "the root's header was not compared");
    }
}

/// A manifest is read or refused; its places lie inside the blob.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = LayerManifest::parse(data, "it") {
        assert!(manifest.index.offset + manifest.index.stored <= manifest.blob_len);
        assert!(manifest.table.offset + manifest.table.stored <= manifest.blob_len);
    }
}

/// A generation has one spelling.
pub fn generation(data: &[u8]) {
    if let Ok(generation) = Generation::parse(data) {
        assert_eq!(generation.emit(), data, "emit(parse(x)) must be x");
    }
}
