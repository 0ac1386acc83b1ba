//! What can be read, and how: a file is told by its content.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use plyos_layer_build::ScanOptions;

use crate::bounds::{Limits, Meter};
use crate::decompress::{Shape, decompress, peek};
use crate::error::ImportError;
use crate::facts::{Facts, Imported};
use crate::image::Image;
use crate::names::Absolute;
use crate::staging::Staging;
use crate::{debian, tar, wheel};

/// Where an archive is.
pub enum Source {
    /// A tar (plain or compressed by gzip, zstd or xz), a Debian package or a wheel.
    File {
        /// The file, at its start.
        file: File,
        /// How errors name it.
        what: String,
    },
    /// A tar, plain or compressed.
    Stream {
        /// Its bytes.
        input: Box<dyn Read>,
        /// How errors name it.
        what: String,
    },
    /// A folder that is an OCI image layout.
    Layout {
        /// The folder.
        folder: PathBuf,
        /// Which of its images.
        tag: Option<String>,
    },
    /// A tar of an OCI image layout.
    LayoutArchive {
        /// The tar, which is not compressed.
        file: File,
        /// How errors name it.
        what: String,
        /// Which of its images.
        tag: Option<String>,
    },
}

/// How to read it.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What becomes part of the tree, and how.
    pub rules: &'a ScanOptions,
    /// What the archive may become.
    pub limits: Limits,
    /// What becomes of absolute names in a tar. In an image layer the `/` is always taken off: it is the image's root.
    pub absolute: Absolute,
    /// Architecture to choose from an image for several.
    pub arch: &'a str,
    /// Directory into which a wheel's modules go, as an entry path.
    pub python: &'a str,
    /// Whether a Debian package's dependencies are taken over.
    pub depends: bool,
}

impl Source {
    /// Reads all of it.
    pub fn read(self, request: &Request<'_>) -> Result<Imported, ImportError> {
        match self {
            Self::File { mut file, what } => {
                let failed = |source| ImportError::read(&what, source);
                let (shape, _) = peek(&mut file).map_err(failed)?;
                file.seek(SeekFrom::Start(0)).map_err(failed)?;
                match shape {
                    Shape::Ar => debian::read(file, &what, request),
                    Shape::Zip => wheel::read(file, &what, request),
                    _ => archive(file, &what, request),
                }
            }
            Self::Stream { input, what } => archive(input, &what, request),
            Self::Layout { folder, tag } => Image::in_folder(folder)?.read(tag.as_deref(), request),
            Self::LayoutArchive { file, what, tag } => {
                Image::in_archive(file, &what)?.read(tag.as_deref(), request)
            }
        }
    }
}

/// Reads a tar, which says nothing of itself.
fn archive(input: impl Read, what: &str, request: &Request<'_>) -> Result<Imported, ImportError> {
    let meter = Meter::new(request.limits);
    let mut staging = Staging::new(meter.clone())?;
    tar::stage(decompress(input, &meter, what)?, what, &mut staging, request.absolute)?;
    Ok(Imported { tree: staging.finish(request.rules)?, facts: Facts::default(), notes: Vec::new() })
}
