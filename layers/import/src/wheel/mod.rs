//! Wheels (PyPA "Binary distribution format"): a zip archive of modules, with metadata and a list of hashes inside.
//!
//! Each file is checked against RECORD and put where an installer would: modules into the directory that was asked for, the
//! parts of `NAME.data/` below `usr/`. Programs that installers generate for entry points are not generated; a note says so.

mod metadata;
mod record;

use std::fs::File;
use std::io::{self, Read};

use plyos_layer_format::stream::EPOCH;
use sha2::{Digest, Sha256};
use zip::ZipArchive;
use zip::result::ZipError;

use self::record::Record;
use crate::bounds::Meter;
use crate::error::{ImportError, Refusal};
use crate::facts::Imported;
use crate::names::{Absolute, entry_path};
use crate::source::Request;
use crate::staging::{Attributes, Staging};

/// Longest file of the metadata that is read.
const MAX_METADATA: u64 = 16 << 20;
/// First line that says "whatever Python this is installed for".
const ANY_PYTHON: &[u8] = b"#!python";
/// What stands there once it is installed.
const PYTHON: &[u8] = b"#!/usr/bin/python3";

/// Reads a wheel.
pub(crate) fn read(file: File, what: &str, request: &Request<'_>) -> Result<Imported, ImportError> {
    let refused = |text: &str| ImportError::archive(what, Refusal::Content(text.to_owned()));
    let meter = Meter::new(request.limits);
    let mut archive = ZipArchive::new(meter.input(file)).map_err(|error| failed(what, error))?;
    if archive.len() as u64 > request.limits.entries {
        return Err(ImportError::archive(what, Refusal::Entries(request.limits.entries)));
    }
    if archive.has_duplicate_names()
        || archive.has_overlapping_entries().map_err(|error| failed(what, error))?
    {
        return Err(refused("entries of it have one name or overlap; readers see different files"));
    }
    let info =
        dist_info(&archive).ok_or_else(|| refused("it has not one NAME.dist-info/; is it a wheel?"))?;
    let text = |archive: &mut ZipArchive<_>, name: &str| text(archive, &format!("{info}/{name}"), what);
    let metadata = text(&mut archive, "METADATA")?.ok_or_else(|| refused("it has no METADATA"))?;
    let wheel = text(&mut archive, "WHEEL")?.ok_or_else(|| refused("it has no WHEEL"))?;
    let record = text(&mut archive, "RECORD")?.ok_or_else(|| refused("it has no RECORD"))?;
    let mut record = Record::parse(&record).map_err(|text| refused(&text))?;
    let facts = metadata::facts(&metadata, &wheel).map_err(|text| refused(&text))?;

    let places =
        Places { data: format!("{}.data/", info.trim_end_matches(".dist-info")), python: request.python };
    let mut staging = Staging::new(meter.clone())?;
    for number in 0..archive.len() {
        let part = archive.by_index(number).map_err(|error| failed(what, error))?;
        let name = part.name_raw().to_vec();
        let entry = |refusal| ImportError::entry(&name, refusal);
        let path = entry_path(&name, Absolute::Refuse).map_err(entry)?;
        // A zip's directories are those of its files; empty ones are not installed.
        if part.is_dir() {
            continue;
        }
        if part.is_symlink() {
            return Err(entry(Refusal::Content("it is a link, which wheels do not have".into())));
        }
        let path =
            String::from_utf8(path).map_err(|_| entry(Refusal::Content("its name is not UTF-8".into())))?;
        let (target, program) = places.of(&path).map_err(|text| entry(Refusal::Content(text)))?;
        let executable = program || part.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        let mode = if executable { 0o755 } else { 0o644 };
        let attributes = Attributes { mode, ..file_attributes() };
        let mut content = Hashing { input: meter.output(part), hasher: Sha256::new(), length: 0 };
        if program {
            staging.file(target.as_bytes(), attributes, shebang(&mut content, &path)?)?;
        } else {
            staging.file(target.as_bytes(), attributes, &mut content)?;
        }
        // The rest, should nothing have asked for it: the hash is of the whole.
        io::copy(&mut content, &mut io::sink()).map_err(|source| ImportError::read(&path, source))?;
        record.check(&info, &path, content.hasher.finalize().into(), content.length).map_err(entry)?;
    }
    record.finish().map_err(|text| refused(&text))?;

    let mut notes = Vec::new();
    let entry_points = text(&mut archive, "entry_points.txt")?.unwrap_or_default();
    let scripts = metadata::scripts(&entry_points);
    if scripts > 0 {
        notes.push(format!(
            "{scripts} programs of entry points are not made; ship scripts of your own for them"
        ));
    }
    Ok(Imported { tree: staging.finish(request.rules)?, facts, notes })
}

const fn file_attributes() -> Attributes {
    Attributes { mode: 0o644, uid: 0, gid: 0, mtime: EPOCH, xattrs: Vec::new() }
}

/// The name of the one directory of metadata.
fn dist_info<R: Read + io::Seek>(archive: &ZipArchive<R>) -> Option<String> {
    let tops = archive.file_names_raw().filter_map(|name| std::str::from_utf8(name).ok()?.split_once('/'));
    let mut found: Vec<&str> = tops.map(|(top, _)| top).filter(|top| top.ends_with(".dist-info")).collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [only] => Some(only.to_owned()),
        _ => None,
    }
}

/// A file of the metadata; none when it is not there.
fn text<R: Read + io::Seek>(
    archive: &mut ZipArchive<R>,
    name: &str,
    what: &str,
) -> Result<Option<String>, ImportError> {
    let part = match archive.by_name(name) {
        Ok(part) => part,
        Err(ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(failed(what, error)),
    };
    if part.size() > MAX_METADATA {
        return Err(ImportError::entry(name.as_bytes(), Refusal::TooLong("content")));
    }
    let mut text = String::new();
    part.take(MAX_METADATA).read_to_string(&mut text).map_err(|source| ImportError::read(name, source))?;
    Ok(Some(text))
}

fn failed(what: &str, error: ZipError) -> ImportError {
    match error {
        ZipError::Io(source) => ImportError::read(what, source),
        other => ImportError::archive(what, Refusal::Content(other.to_string())),
    }
}

/// Where an installer puts the files of a wheel.
struct Places<'a> {
    /// `NAME-VERSION.data/`
    data: String,
    /// Directory of modules.
    python: &'a str,
}

impl Places<'_> {
    /// The path of a file, and whether it is a program.
    fn of(&self, path: &str) -> Result<(String, bool), String> {
        let Some(rest) = path.strip_prefix(&self.data) else { return Ok((self.below_python(path), false)) };
        let (scheme, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            "purelib" | "platlib" => Ok((self.below_python(rest), false)),
            "scripts" => Ok((format!("usr/bin/{rest}"), true)),
            "data" => Ok((format!("usr/{rest}"), false)),
            "headers" => Ok((format!("usr/include/python3/{rest}"), false)),
            _ => Err(format!("{} has no part {scheme:?} that is known here", self.data)),
        }
    }

    fn below_python(&self, path: &str) -> String {
        if self.python.is_empty() { path.to_owned() } else { format!("{}/{path}", self.python) }
    }
}

/// A script with the first line that it has once it is installed.
fn shebang<R: Read>(content: R, path: &str) -> Result<impl Read, ImportError> {
    let mut content = content;
    let mut head = Vec::new();
    content
        .by_ref()
        .take(ANY_PYTHON.len() as u64)
        .read_to_end(&mut head)
        .map_err(|source| ImportError::read(path, source))?;
    if head == ANY_PYTHON {
        head = PYTHON.to_vec();
    }
    Ok(io::Cursor::new(head).chain(content))
}

/// A reader that hashes and counts what goes through it.
struct Hashing<R> {
    input: R,
    hasher: Sha256,
    length: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        self.hasher.update(out.get(..count).unwrap_or_default());
        self.length += count as u64;
        Ok(count)
    }
}
