//! The members of an archive, one after the other.

use std::io::{self, Read};

use super::header::{BLOCK, Block, unsigned_number};
use super::member::{Extensions, Member, member, name_of, stored_size};
use super::pax::Records;
use super::sparse::{self, Map};
use crate::error::{ImportError, Refusal};

/// Longest pax header that is read: one with the longest names and attributes is a tenth of it.
const MAX_PAX: u64 = 1 << 20;
/// Longest name in GNU's form that is read.
const MAX_LONG_NAME: u64 = 64 << 10;
/// Largest content: far above any, and sums of such do not overflow.
const MAX_SIZE: u64 = 1 << 56;

/// How the end of an archive is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By its mark; without one it was cut short.
    Marked,
    /// By the end of the input, of which a digest was checked. Some writers of image layers leave the mark out.
    OfInput,
}

/// Reads an archive. After [`Reader::next`] the content may be read or left.
pub(crate) struct Reader<'a, R> {
    input: R,
    what: &'a str,
    end: End,
    /// Bytes read.
    offset: u64,
    /// Bytes of the member's content that are in the archive and were not read yet.
    left: u64,
    /// Bytes that fill its last block.
    padding: u64,
    global: Records,
    ended: bool,
}

impl<'a, R: Read> Reader<'a, R> {
    /// `what` is how errors name the archive.
    pub(crate) fn new(input: R, what: &'a str, end: End) -> Self {
        Self { input, what, end, offset: 0, left: 0, padding: 0, global: Records::default(), ended: false }
    }

    /// The archive was cut.
    pub(crate) fn cut(&self) -> ImportError {
        ImportError::archive(self.what, Refusal::Cut)
    }

    /// Offset of the member's content in the input.
    pub(crate) const fn content_offset(&self) -> u64 {
        self.offset
    }

    /// The next member; none after the end, which is checked.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, ImportError> {
        self.skip_content()?;
        let mut extensions = Extensions::default();
        while !self.ended {
            let at = self.offset;
            let Some(block) = self.block()? else {
                if self.end == End::Marked || !extensions.is_empty() {
                    return Err(self.refused(if at == 0 { Refusal::Cut } else { Refusal::NoEnd }));
                }
                break;
            };
            if block.is_zero() {
                if !extensions.is_empty() {
                    return Err(self.refused(Refusal::Pax("it belongs to no entry")));
                }
                self.finish()?;
                break;
            }
            block.check(at).map_err(|refusal| self.refused(refusal))?;
            let name = name_of(&block, &extensions);
            let refused = |refusal| ImportError::entry(&name, refusal);
            let size = unsigned_number(&block.header().as_old().size, "size").map_err(refused)?;
            let [kind] = block.header().as_old().linkflag;
            let twice = match kind {
                b'x' => {
                    let body = self.body(size, MAX_PAX, "pax header")?;
                    extensions.pax.replace(Records::parse(&body).map_err(refused)?).is_some()
                }
                b'L' => extensions.name.replace(self.long_name(size)?).is_some(),
                b'K' => extensions.target.replace(self.long_name(size)?).is_some(),
                b'g' => {
                    let body = self.body(size, MAX_PAX, "pax header")?;
                    let records = Records::parse(&body).map_err(refused)?;
                    records.check_global().map_err(|refusal| self.refused(refusal))?;
                    self.global.extend(records);
                    false
                }
                // A label of the whole archive.
                b'V' if size == 0 && extensions.is_empty() => false,
                _ => return self.member(&block, name, &extensions).map(Some),
            };
            if twice {
                return Err(refused(Refusal::SaidTwice("pax header or long name")));
            }
        }
        self.ended = true;
        Ok(None)
    }

    fn member(
        &mut self,
        block: &Block,
        name: Vec<u8>,
        extensions: &Extensions,
    ) -> Result<Member, ImportError> {
        let refused = |refusal| ImportError::entry(&name, refusal);
        let stored = stored_size(block, extensions).map_err(refused)?;
        if stored > MAX_SIZE {
            return Err(refused(Refusal::TooGreat("size")));
        }
        self.left = stored;
        let map = self.map(block, extensions, stored).map_err(|error| {
            match ImportError::read(self.what, error) {
                ImportError::Archive { refusal, .. } if refusal != Refusal::Cut => refused(refusal),
                other => other,
            }
        })?;
        if map.size > MAX_SIZE {
            return Err(refused(Refusal::TooGreat("size")));
        }
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        member(block, name.clone(), extensions, &self.global, map).map_err(refused)
    }

    /// Where the member's stored bytes belong. Leaves the reader at the first of them.
    fn map(&mut self, block: &Block, extensions: &Extensions, stored: u64) -> io::Result<Map> {
        let refuse = io::Error::other::<Refusal>;
        let [kind] = block.header().as_old().linkflag;
        if kind == b'S' {
            let Some(gnu) = block.header().as_gnu() else { return Err(refuse(Refusal::Type('S'))) };
            let pieces = sparse::in_blocks(gnu, || {
                let mut block = [0; BLOCK];
                self.input.read_exact(&mut block)?;
                self.offset += BLOCK as u64;
                Ok(block)
            })?;
            let size = unsigned_number(&gnu.realsize, "size").map_err(refuse)?;
            return Map::new(pieces, size, stored).map_err(refuse);
        }
        let Some(records) = &extensions.pax else { return Ok(Map::whole(stored)) };
        let number = |key| records.number(key, "map of holes").map_err(refuse);
        let form = (number("GNU.sparse.major")?, number("GNU.sparse.minor")?);
        let (pieces, size, stored) = match (form, records.get("GNU.sparse.map")) {
            ((Some(1), Some(0)), None) => {
                let (pieces, taken) = sparse::before_content(&mut self.input, stored)?;
                self.offset += taken;
                self.left -= taken;
                (pieces, number("GNU.sparse.realsize")?, stored - taken)
            }
            ((None, None), Some(map)) => {
                (sparse::in_record(map, records).map_err(refuse)?, number("GNU.sparse.size")?, stored)
            }
            ((None, None), None) if records.with_prefix("GNU.sparse.").next().is_none() => {
                return Ok(Map::whole(stored));
            }
            _ => return Err(refuse(Refusal::Sparse("its form is not known here"))),
        };
        let size = size.ok_or_else(|| refuse(Refusal::Sparse("it has no size")))?;
        Map::new(pieces, size, stored).map_err(refuse)
    }

    /// The content of `member`, which [`Reader::next`] gave last; holes as zeroes.
    pub(crate) fn content<'m>(&'m mut self, member: &'m Member) -> Content<'m, 'a, R> {
        Content { reader: self, map: &member.map, piece: 0, at: 0 }
    }

    /// A header's block; none at the end of the input.
    fn block(&mut self) -> Result<Option<Block>, ImportError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(block.get_mut(filled..).unwrap_or_default()) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.cut()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ImportError::read(self.what, error)),
            }
        }
        self.offset += BLOCK as u64;
        Ok(Some(Block(block)))
    }

    /// The body of a header that belongs to the next one.
    fn body(&mut self, size: u64, limit: u64, what: &'static str) -> Result<Vec<u8>, ImportError> {
        if size > limit {
            return Err(self.refused(Refusal::TooLong(what)));
        }
        let mut body = vec![0; size as usize];
        self.input.read_exact(&mut body).map_err(|error| ImportError::read(self.what, error))?;
        self.offset += size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        self.skip_content()?;
        Ok(body)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, ImportError> {
        let mut name = self.body(size, MAX_LONG_NAME, "name")?;
        if name.last() == Some(&0) {
            name.pop();
        }
        if name.is_empty() || name.contains(&0) {
            return Err(ImportError::entry(&name, Refusal::Nul));
        }
        Ok(name)
    }

    fn skip_content(&mut self) -> Result<(), ImportError> {
        let rest = self.left + self.padding;
        let skipped = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink())
            .map_err(|error| ImportError::read(self.what, error))?;
        self.offset += skipped;
        if skipped < rest {
            return Err(self.cut());
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// After the first zero block: the second, and then nothing but zeroes.
    fn finish(&mut self) -> Result<(), ImportError> {
        let mut buffer = [0; 16 << 10];
        let mut zeroes = 0;
        loop {
            match self.input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if buffer.iter().take(count).any(|byte| *byte != 0) {
                        return Err(self.refused(Refusal::AfterEnd));
                    }
                    zeroes += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ImportError::read(self.what, error)),
            }
        }
        if zeroes < BLOCK && self.end == End::Marked {
            return Err(self.refused(Refusal::NoEnd));
        }
        Ok(())
    }

    fn refused(&self, refusal: Refusal) -> ImportError {
        ImportError::archive(self.what, refusal)
    }
}

/// See [`Reader::content`].
pub(crate) struct Content<'m, 'a, R> {
    reader: &'m mut Reader<'a, R>,
    map: &'m Map,
    /// Number of the piece that comes next or is being read.
    piece: usize,
    /// Bytes of the file that were read.
    at: u64,
}

impl<R: Read> Read for Content<'_, '_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let (start, end) = match self.map.pieces.get(self.piece) {
                Some(piece) => (piece.offset, piece.offset + piece.length),
                None => (self.map.size, self.map.size),
            };
            let room = out.len() as u64;
            if self.at < start {
                let hole = (start - self.at).min(room);
                out.get_mut(..hole as usize).unwrap_or_default().fill(0);
                self.at += hole;
                return Ok(hole as usize);
            }
            if self.at == end {
                if self.piece >= self.map.pieces.len() {
                    return Ok(0);
                }
                self.piece += 1;
                continue;
            }
            let wanted = (end - self.at).min(room) as usize;
            let count = self.reader.input.read(out.get_mut(..wanted).unwrap_or_default())?;
            if count == 0 && wanted > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.at += count as u64;
            self.reader.left -= count as u64;
            self.reader.offset += count as u64;
            return Ok(count);
        }
    }
}
