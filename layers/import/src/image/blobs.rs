//! The bytes of an image layout, by digest: in a folder, or in a tar of it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use oci_spec::image::Descriptor;
use plyos_ids::BlobDigest;
use sha2::{Digest, Sha256};

use super::MAX_JSON;
use crate::bounds::{Limits, Meter};
use crate::decompress::{Shape, peek};
use crate::error::{ImportError, Refusal};
use crate::names::{Absolute, spelt};
use crate::tar::{End, Kind, Reader};

/// Most files of a layout in a tar: images have tens of layers.
const MAX_FILES: u64 = 100_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Blobs {
    /// How errors name the layout.
    what: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Archive {
        file: File,
        /// Offset and length of each file.
        files: HashMap<Vec<u8>, (u64, u64)>,
    },
}

impl Blobs {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { what: folder.display().to_string(), place: Place::Folder(folder) }
    }

    pub(super) fn in_archive(mut file: File, what: &str) -> Result<Self, ImportError> {
        let failed = |source| ImportError::read(what, source);
        let (shape, input) = peek(&mut file).map_err(failed)?;
        if shape != Shape::Plain {
            let text = "it is compressed and must be read at any place; decompress it first".to_owned();
            return Err(ImportError::archive(what, Refusal::Content(text)));
        }
        let meter = Meter::new(Limits { entries: MAX_FILES, ..Limits::default() });
        let mut files = HashMap::new();
        let mut reader = Reader::new(input, what, End::Marked);
        while let Some(member) = reader.next()? {
            let refused = |refusal| ImportError::entry(&member.name, refusal);
            meter.entry(member.name.len()).map_err(refused)?;
            if member.kind == Kind::File {
                let name = spelt(&member.name, Absolute::Refuse).map_err(refused)?;
                if member.holes() > 0 {
                    return Err(refused(Refusal::Sparse("an image's file has no holes")));
                }
                if files.insert(name, (reader.content_offset(), member.size())).is_some() {
                    return Err(refused(Refusal::SaidTwice("name")));
                }
            }
        }
        Ok(Self { what: what.to_owned(), place: Place::Archive { file, files } })
    }

    /// How errors name the layout.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// A file of the layout by its name.
    pub(super) fn file(&self, name: &str) -> Result<Box<dyn Read + '_>, ImportError> {
        let what = format!("{name} of {}", self.what);
        match &self.place {
            Place::Folder(folder) => {
                let file =
                    File::open(folder.join(name)).map_err(|source| ImportError::read(&what, source))?;
                Ok(Box::new(file))
            }
            Place::Archive { file, files } => {
                let place = files.get(name.as_bytes());
                let missing = || ImportError::read(&what, io::ErrorKind::NotFound.into());
                let (offset, length) = *place.ok_or_else(missing)?;
                Ok(Box::new(Part { file, offset, left: length }))
            }
        }
    }

    /// A file of the layout to be read at any place.
    pub(super) fn window(&self, name: &str) -> Result<Window, ImportError> {
        let what = format!("{name} of {}", self.what);
        let failed = |source| ImportError::read(&what, source);
        let (file, start, len) = match &self.place {
            Place::Folder(folder) => {
                let file = File::open(folder.join(name)).map_err(failed)?;
                let len = file.metadata().map_err(failed)?.len();
                (file, 0, len)
            }
            Place::Archive { file, files } => {
                let place = files.get(name.as_bytes()).copied();
                let (start, len) = place.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
                (file.try_clone().map_err(failed)?, start, len)
            }
        };
        Ok(Window { file, start, len, at: 0 })
    }

    /// A small file, whole.
    pub(super) fn small(&self, name: &str) -> Result<Vec<u8>, ImportError> {
        let what = format!("{name} of {}", self.what);
        let mut bytes = Vec::new();
        self.file(name)?
            .take(MAX_JSON + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| ImportError::read(&what, source))?;
        if bytes.len() as u64 > MAX_JSON {
            return Err(ImportError::archive(&what, Refusal::TooLong("JSON")));
        }
        Ok(bytes)
    }

    /// A blob; its bytes are to be checked.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + '_>, ImportError> {
        self.file(&self.name(descriptor)?.1)
    }

    /// A manifest or config, checked.
    pub(super) fn json(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImportError> {
        let (digest, name) = self.name(descriptor)?;
        let bytes = self.small(&name)?;
        let found = BlobDigest::from_bytes(Sha256::digest(&bytes).into());
        if found == digest {
            return Ok(bytes);
        }
        Err(ImportError::archive(&format!("{name} of {}", self.what), Refusal::Digest(digest.to_string())))
    }

    /// The digest that a descriptor names, and the blob's file.
    pub(super) fn name(&self, descriptor: &Descriptor) -> Result<(BlobDigest, String), ImportError> {
        let text = descriptor.digest().to_string();
        let digest = BlobDigest::parse(&text).map_err(|_| {
            ImportError::archive(&self.what, Refusal::Content(format!("{text} is no SHA-256 digest")))
        })?;
        Ok((digest, format!("blobs/{}", text.replace(':', "/"))))
    }
}

/// A run of bytes of a file.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let count = self.file.read_at(out.get_mut(..room).unwrap_or_default(), self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A run of bytes of a file that is read as a file of its own.
#[derive(Debug)]
pub struct Window {
    file: File,
    start: u64,
    len: u64,
    at: u64,
}

impl Read for Window {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = left.min(out.len());
        let count = self.file.read_at(out.get_mut(..room).unwrap_or_default(), self.start + self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
