//! Layers in local files: an OCI image layout, as a folder or a tar of it, with one layer that `plyos` made.
//!
//! A file vouches for nothing. If a catalog offers this very layer, the catalog's certificate does, and the file only saves the
//! download; otherwise the layer is unsigned, and the operator has to allow it. Either way it passes the checks of every other:
//! index, descriptor, paths, conflicts, and each chunk's hash as it is taken in.

use crate::candidate::Candidate;
use crate::catalogs;
use crate::pull::Known;
use crate::target::Target;
use plyos_ids::{ChunkId, Codec};
use plyos_layer_build::reader::{self, Blob, Kept};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::frames::Form;
use plyos_layer_format::index::{Chunk, Limits};
use plyos_layer_import::image::{Image, Window};
use plyos_plan::resolve::Facts;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Floors, Writer};
use plyos_transfer::layer::{LayerManifest, Source};
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

/// Whether a word of the command line names a file and no layer. No name begins like that; one that ends like a tar's is a
/// file's where there is such a file.
pub fn is_path(word: &str) -> bool {
    word.starts_with(['.', '/']) || (word.ends_with(".tar") && Path::new(word).is_file())
}

/// What the files of a command will bring that the store does not have.
#[derive(Debug, Default)]
pub struct Coming {
    /// Which chunks.
    pub chunks: HashSet<ChunkId>,
    /// Most bytes in the store of each, in the order in which they will be appended.
    pub lens: Vec<u64>,
}

/// See the module.
pub struct LocalLayer {
    path: String,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// What its manifest says.
    pub manifest: LayerManifest,
    manifest_bytes: Vec<u8>,
    blob: Blob<Window>,
}

impl LocalLayer {
    /// Opens a file or folder, and checks the index.
    pub fn open(path: &str) -> Result<Self, Failure> {
        let doing = format!("reading the layer in {path}");
        let at = Path::new(path);
        let about = std::fs::metadata(at).or_fail(ExitCode::NotFound, &doing)?;
        if about.is_dir() && !at.join("index.json").exists() {
            let line = format!(
                "{doing}: it is no OCI image layout, for it has no index.json; `skopeo copy … oci:DIR` makes one"
            );
            return Err(Failure::new(ExitCode::NotFound, line));
        }
        let image = if about.is_dir() {
            Image::in_folder(at.to_owned())
        } else {
            Image::in_archive(File::open(at).or_fail(ExitCode::NotFound, &doing)?, path)
        };
        let arch = plyos_plan::machine_arch(std::env::consts::ARCH);
        let (manifest_bytes, window) = image
            .and_then(|image| image.single_layer(None, arch))
            .or_fail(ExitCode::Signature, &doing)?
            .ok_or_else(|| {
                let line = format!("{doing}: it is an image of several layers; `plyos push` makes one of it");
                Failure::new(ExitCode::Signature, line)
            })?;
        let manifest = LayerManifest::parse(&manifest_bytes, path)?;
        let mut blob = Blob::open(window, &Limits::default()).or_fail(ExitCode::Signature, &doing)?;
        let (index, _) = blob.parts().or_fail(ExitCode::Signature, &doing)?;
        if index.id() != manifest.layer {
            let line = format!("{doing}: its manifest names another layer than its blob holds");
            return Err(Failure::new(ExitCode::Signature, line));
        }
        let descriptor = index.descriptor().clone();
        Ok(Self { path: path.to_owned(), descriptor, manifest, manifest_bytes, blob })
    }

    /// `NAME VERSION`, for messages.
    pub fn what(&self) -> String {
        format!("{} {}", self.descriptor.name(), self.descriptor.version())
    }

    /// The layer as a request names it.
    pub fn request(&self) -> String {
        format!("{}/{}={}", self.descriptor.kind(), self.descriptor.name(), self.descriptor.version())
    }

    /// What a plan needs to know of it.
    pub fn facts(&self) -> Facts {
        catalogs::facts(&self.descriptor, self.manifest.layer)
    }

    /// Counts the chunks that the store does not have; nothing is written.
    pub fn count(&mut self, known: &Known, coming: &mut Coming) -> Result<(), Failure> {
        let doing = format!("reading the layer in {}", self.path);
        let lens = self.blob.table().lengths.clone();
        let (index, _) = self.blob.parts().or_fail(ExitCode::Signature, &doing)?;
        for (chunk, frame_len) in index.chunks().zip(lens) {
            let chunk = chunk.or_fail(ExitCode::Signature, &doing)?;
            if !known.contains_key(&chunk.id) && coming.chunks.insert(chunk.id) {
                // Kept as it is, or else compressed again.
                coming.lens.push(u64::from(match self.manifest.form {
                    Form::Gzip => chunk.length,
                    Form::Zstd => frame_len,
                }));
            }
        }
        Ok(())
    }

    /// Appends the chunks that the store does not have, each verified. Nothing reaches them before a commit.
    pub fn take_in(
        &mut self,
        target: &Target,
        writer: &mut Writer,
        known: &mut Known,
    ) -> Result<(), Failure> {
        let doing = format!("reading the layer in {}", self.path);
        let form = self.manifest.form;
        let (index, frames) = self.blob.parts().or_fail(ExitCode::Signature, &doing)?;
        let chunks: Vec<Chunk> =
            index.chunks().collect::<Result<_, _>>().or_fail(ExitCode::Signature, &doing)?;
        for (ordinal, chunk) in (0..).zip(chunks) {
            if known.contains_key(&chunk.id) {
                continue;
            }
            let frame = frames.frame(ordinal).or_fail(ExitCode::Signature, &doing)?;
            let refused = format_args!("a chunk of {} is refused, nothing was changed", self.path);
            let place = match reader::kept(form, &frame, &chunk).or_fail(ExitCode::Signature, refused)? {
                Kept::AsItCame => writer.append_chunk(Codec::Zstd, &frame),
                Kept::Instead(codec, bytes) => writer.append_chunk(codec, &bytes),
            };
            known.insert(chunk.id, place.map_err(|error| target.fail(&error))?);
        }
        Ok(())
    }

    /// The candidate that offer `number` stands for; `epoch` is that of its certificate, 0 where it has none.
    pub fn candidate(&self, number: usize, epoch: u32) -> Result<Candidate, Failure> {
        let candidate = Candidate {
            offer: number,
            what: self.what(),
            manifest_bytes: self.manifest_bytes.clone(),
            manifest: self.manifest.clone(),
            source: Source::Nowhere,
            index: self.blob.index_bytes().to_vec(),
            epoch,
            moved: 0,
        };
        candidate.check(&self.descriptor)?;
        Ok(candidate)
    }

    /// An unsigned layer has no epoch, so it cannot stand where one is asked for.
    pub fn check_floor(&self, floors: &Floors) -> Result<(), Failure> {
        check_floor(&self.what(), floors.get(self.descriptor.kind(), self.descriptor.name()))
    }
}

/// Refuses an unsigned layer under a name of which a signed one set a security floor.
pub fn check_floor(what: &str, floor: u32) -> Result<(), Failure> {
    if floor == 0 {
        return Ok(());
    }
    let line = format!(
        "{what} is refused: layers of its name need the security epoch {floor} here, and an unsigned one has none; give it another name"
    );
    Err(Failure::new(ExitCode::Signature, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names_are_told_apart() {
        for path in ["./x", "../x.oci.tar", "/x", "."] {
            assert!(is_path(path), "{path}");
        }
        for name in ["jq", "site/docs", "jq=1.6", "jq>=1.6", "a.b", "no-such-file.tar"] {
            assert!(!is_path(name), "{name}");
        }
    }
}
