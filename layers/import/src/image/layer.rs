//! One layer on top of the others, with the meaning that container tools give it.
//!
//! A file `.wh.NAME` deletes NAME from the layers below, `.wh..wh..opq` all that they have in its directory. What the layer itself
//! has stays, wherever in it these marks stand; so it is read twice, first for its marks (and to check it), then for the rest.

use std::io::{self, Read};

use oci_spec::image::Descriptor;
use plyos_ids::BlobDigest;
use sha2::{Digest, Sha256};

use super::blobs::Blobs;
use crate::bounds::{Limits, Meter};
use crate::decompress::decompress;
use crate::error::{ImportError, Refusal};
use crate::names::{Absolute, last, parent, spelt};
use crate::staging::Staging;
use crate::tar::{End, Kind, Reader, stage_member};

/// Begins the name of a mark.
const MARK: &[u8] = b".wh.";
/// Begins the names that are of nothing deleted: that of the opaque mark, and those of aufs' own files and folders.
const OWN: &[u8] = b".wh..wh.";
/// Says that nothing of the directory comes from below.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A mark of a layer.
#[derive(Debug, PartialEq, Eq)]
enum Whiteout {
    /// The path is deleted.
    Path(Vec<u8>),
    /// The directory's content is deleted.
    Content(Vec<u8>),
}

/// Puts a layer on top of what is in `staging`.
pub(super) fn apply(
    blobs: &Blobs,
    descriptor: &Descriptor,
    diff_id: &str,
    staging: &mut Staging,
    limits: Limits,
    meter: &Meter,
) -> Result<(), ImportError> {
    let what = format!("layer {} of {}", descriptor.digest(), blobs.what());
    let refused = |refusal| ImportError::archive(&what, refusal);
    let media_type = descriptor.media_type().to_string();
    if !["tar", "tar+gzip", "tar+zstd", "tar.gzip", "tar.zstd"].iter().any(|end| media_type.ends_with(end)) {
        return Err(refused(Refusal::Content(format!(
            "its media type {media_type} is not one that can be read"
        ))));
    }
    check_stored(blobs, descriptor, &what)?;
    let whiteouts = check_content(blobs.blob(descriptor)?, diff_id, limits, &what)?;

    staging.next_layer();
    for whiteout in &whiteouts {
        match whiteout {
            Whiteout::Path(path) => staging.remove(path),
            Whiteout::Content(path) => staging.empty(path),
        }
    }
    let input = decompress(blobs.blob(descriptor)?, meter, &what)?;
    let mut reader = Reader::new(input, &what, End::OfInput);
    while let Some(member) = reader.next()? {
        let path = path_of(&member.name)?;
        if !last(&path).starts_with(MARK) && !is_own(&path) {
            stage_member(&mut reader, &member, staging, Absolute::Strip)?;
        }
    }
    // A mark that could only reach its path through a link of the image deletes nothing, and is no mark of an honest tool.
    for whiteout in &whiteouts {
        let directory = match whiteout {
            Whiteout::Path(path) => parent(path).unwrap_or_default(),
            Whiteout::Content(path) => path,
        };
        if let Some(refusal) = staging.is_blocked(directory) {
            let (Whiteout::Path(path) | Whiteout::Content(path)) = whiteout;
            return Err(ImportError::entry(&[b"whiteout of ", &path[..]].concat(), refusal));
        }
    }
    Ok(())
}

/// Checks length and digest of the blob.
fn check_stored(blobs: &Blobs, descriptor: &Descriptor, what: &str) -> Result<(), ImportError> {
    let (digest, _) = blobs.name(descriptor)?;
    let mut input = Hashing::new(blobs.blob(descriptor)?.take(descriptor.size().saturating_add(1)));
    let length = io::copy(&mut input, &mut io::sink()).map_err(|source| ImportError::read(what, source))?;
    if length != descriptor.size() || input.digest() != digest {
        return Err(ImportError::archive(what, Refusal::Digest(digest.to_string())));
    }
    Ok(())
}

/// Checks the diff id, and finds the layer's marks.
fn check_content(
    blob: impl Read,
    diff_id: &str,
    limits: Limits,
    what: &str,
) -> Result<Vec<Whiteout>, ImportError> {
    let meter = Meter::new(limits);
    let mut whiteouts = Vec::new();
    let mut input = Hashing::new(decompress(blob, &meter, what)?);
    let mut reader = Reader::new(&mut input, what, End::OfInput);
    while let Some(member) = reader.next()? {
        meter.entry(member.name.len()).map_err(|refusal| ImportError::entry(&member.name, refusal))?;
        let path = path_of(&member.name)?;
        let name = last(&path);
        let directory = parent(&path).unwrap_or_default();
        if name == OPAQUE {
            whiteouts.push(Whiteout::Content(directory.to_vec()));
        } else if let Some(hidden) = name.strip_prefix(MARK)
            && !is_own(&path)
        {
            if hidden.is_empty() || [&b"."[..], b".."].contains(&hidden) || member.kind != Kind::File {
                let text = "it is a whiteout of nothing".to_owned();
                return Err(ImportError::entry(&member.name, Refusal::Content(text)));
            }
            let slash = if directory.is_empty() { &b""[..] } else { b"/" };
            whiteouts.push(Whiteout::Path([directory, slash, hidden].concat()));
        }
    }
    if BlobDigest::parse(diff_id).ok() != Some(input.digest()) {
        return Err(ImportError::archive(what, Refusal::Digest(format!("diff id {diff_id}"))));
    }
    Ok(whiteouts)
}

/// Whether this is a file of aufs, or in a folder of its.
fn is_own(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|component| component.starts_with(OWN))
}

fn path_of(name: &[u8]) -> Result<Vec<u8>, ImportError> {
    spelt(name, Absolute::Strip).map_err(|refusal| ImportError::entry(name, refusal))
}

/// A reader that hashes what goes through it.
struct Hashing<R> {
    input: R,
    hasher: Sha256,
}

impl<R> Hashing<R> {
    fn new(input: R) -> Self {
        Self { input, hasher: Sha256::new() }
    }

    fn digest(self) -> BlobDigest {
        BlobDigest::from_bytes(self.hasher.finalize().into())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        self.hasher.update(out.get(..count).unwrap_or_default());
        Ok(count)
    }
}
