//! Golden files: the bytes of every format of `docs/formats.md`, made from fixed inputs and committed.
//!
//! A [`Golden`] is a file of `tests/golden/files` with what makes it and what reads it and writes it again. The makers
//! call the public functions that the programs call, so a change of any format shows as a difference in a committed file; `make
//! golden` writes the files anew, and whoever runs it looks at that difference first. A format that was released does not change:
//! it gets a new magic or version, and its golden file stays.
//!
//! | module | makes |
//! | --- | --- |
//! | [`layer`], [`blob`], [`built`] | stream, index, frame table, footer, blob, OCI image, cut points |
//! | [`trust`], [`catalog`] | certificate, keyring, TUF metadata |
//! | [`admission`] | the check of certificates, with its verdicts |
//! | [`generation`], [`store`], [`image`] | generation, the objects of a store, a whole store |
//! | [`registry`] | recipes, piece list, compose instructions |
//! | [`identities`] | what all of these hash to |
#![forbid(unsafe_code)]

pub mod admission;
pub mod blob;
pub mod built;
pub mod catalog;
pub mod dump;
pub mod fixed;
pub mod generation;
pub mod identities;
pub mod image;
pub mod layer;
pub mod listing;
pub mod readme;
pub mod registry;
pub mod store;
pub mod tree;
pub mod trust;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// How a golden file is read back.
#[derive(Debug, Clone, Copy)]
pub enum Again {
    /// `emit(parse(x))`.
    Emit(fn(&[u8]) -> Result<Vec<u8>>),
    /// No program of ours reads it: a list of what other bytes came to, or what only other people's tools read.
    Unread,
}

/// A golden file.
#[derive(Debug, Clone, Copy)]
pub struct Golden {
    /// Name below `tests/golden/files`. `NAME.hex` is a dump of the non-zero rows ([`dump`]), all else the bytes themselves.
    pub name: &'static str,
    /// Heading of the section in `docs/formats.md` that describes it.
    pub section: &'static str,
    /// What it is and from what it is made, in a few words.
    pub what: &'static str,
    /// Makes its bytes.
    pub make: fn() -> Result<Vec<u8>>,
    /// Reads its bytes and writes them again.
    pub again: Again,
}

impl Golden {
    /// The content of the committed file that has these bytes.
    pub fn file_of(&self, bytes: &[u8]) -> Vec<u8> {
        if self.name.ends_with(".hex") { dump::write(bytes).into_bytes() } else { bytes.to_vec() }
    }

    /// The bytes that a committed file stands for.
    pub fn bytes_of(&self, file: &[u8]) -> Result<Vec<u8>> {
        if !self.name.ends_with(".hex") {
            return Ok(file.to_vec());
        }
        dump::read(std::str::from_utf8(file)?).with_context(|| format!("reading {}", self.name))
    }

    /// The content that its file should have now.
    pub fn made(&self) -> Result<Vec<u8>> {
        let bytes = (self.make)().with_context(|| format!("making {}", self.name))?;
        Ok(self.file_of(&bytes))
    }
}

/// Every golden file, in the order of `docs/formats.md`.
pub fn all() -> Vec<Golden> {
    [
        layer::GOLDEN,
        built::GOLDEN,
        blob::GOLDEN,
        trust::GOLDEN,
        admission::GOLDEN,
        catalog::GOLDEN,
        generation::GOLDEN,
        store::GOLDEN,
        image::GOLDEN,
        registry::GOLDEN,
        identities::GOLDEN,
    ]
    .concat()
}

/// The folder of this package.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The committed files, by name.
pub fn committed() -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = folder().join("files");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.insert(name, std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
    }
    Ok(found)
}
