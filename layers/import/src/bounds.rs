//! How much an archive may become: entries, bytes, names.
//!
//! A few kilobytes of gzip can say a terabyte of zeroes, and a small tar millions of empty files. [`Meter`] counts what comes
//! out and stops it; it also knows what went in, for a bound that grows with honest input.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use crate::error::Refusal;

/// Entries that are usually enough: a large distribution has half a million files.
const ENTRIES: u64 = 4_000_000;
/// An archive may always expand to this much, however small it is. 1 GiB fits any temporary folder.
const FREE: u64 = 1 << 30;
/// Beyond that to this many times its own bytes. Source trees reach 10, disk images some 100.
const RATIO: u64 = 200;
/// Bytes of all names and attributes: what is held in memory while an archive is read. 1 GiB.
const METADATA: u64 = 1 << 30;

/// What an archive may become. The defaults keep a hostile one from filling the disk; both can be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most entries, those that are made for missing parents included.
    pub entries: u64,
    /// Most bytes after decompression, holes included; `None`: 200 times what was read, and 1 GiB in any case.
    pub expanded: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: ENTRIES, expanded: None }
    }
}

/// Counts against [`Limits`]. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    limits: Limits,
    counts: Rc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    read: Cell<u64>,
    expanded: Cell<u64>,
    entries: Cell<u64>,
    metadata: Cell<u64>,
}

fn add(cell: &Cell<u64>, count: u64) -> u64 {
    cell.set(cell.get().saturating_add(count));
    cell.get()
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, counts: Rc::default() }
    }

    /// Counts an entry with so many bytes of name, link target and attributes.
    pub(crate) fn entry(&self, metadata: usize) -> Result<(), Refusal> {
        if add(&self.counts.entries, 1) > self.limits.entries {
            return Err(Refusal::Entries(self.limits.entries));
        }
        if add(&self.counts.metadata, metadata as u64) > METADATA {
            return Err(Refusal::Metadata(METADATA));
        }
        Ok(())
    }

    /// Counts bytes that come out, those of holes included.
    pub(crate) fn expand(&self, bytes: u64) -> Result<(), Refusal> {
        let usual = || FREE.max(self.counts.read.get().saturating_mul(RATIO));
        let limit = self.limits.expanded.unwrap_or_else(usual);
        if add(&self.counts.expanded, bytes) > limit { Err(Refusal::Expansion(limit)) } else { Ok(()) }
    }

    /// A reader that counts what goes in.
    pub(crate) fn input<R>(&self, input: R) -> Input<R> {
        Input { input, meter: self.clone() }
    }

    /// A reader that counts and bounds what comes out.
    pub(crate) fn output<R>(&self, output: R) -> Output<R> {
        Output { output, meter: self.clone() }
    }
}

/// See [`Meter::input`].
#[derive(Debug)]
pub(crate) struct Input<R> {
    input: R,
    meter: Meter,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        add(&self.meter.counts.read, count as u64);
        Ok(count)
    }
}

/// What is read twice counts twice; zip archives, whose parts are read where they lie, mean little more than once.
impl<R: Seek> Seek for Input<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

/// See [`Meter::output`].
#[derive(Debug)]
pub(crate) struct Output<R> {
    output: R,
    meter: Meter,
}

impl<R: Read> Read for Output<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.output.read(out)?;
        self.meter.expand(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_bounded_by_what_went_in() {
        let meter = Meter::new(Limits::default());
        meter.expand(FREE).unwrap();
        assert_eq!(meter.expand(1), Err(Refusal::Expansion(FREE)));
        let meter = Meter::new(Limits::default());
        io::copy(&mut meter.input(io::repeat(1).take(10 << 20)), &mut io::sink()).unwrap();
        meter.expand((10 << 20) * RATIO).unwrap();
        assert!(meter.expand(1).is_err());
    }

    #[test]
    fn a_limit_that_was_given_replaces_the_usual_one() {
        let meter = Meter::new(Limits { expanded: Some(10), entries: 1 });
        let read = io::copy(&mut meter.output(io::repeat(0)), &mut io::sink()).unwrap_err();
        assert_eq!(read.downcast::<Refusal>().unwrap(), Refusal::Expansion(10));
        meter.entry(5).unwrap();
        assert_eq!(meter.entry(5), Err(Refusal::Entries(1)));
    }
}
