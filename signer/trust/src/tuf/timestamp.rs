//! `timestamp.json` (section 4.6): which snapshot is the current one.

use super::{Envelope, Header, MetaFile, SIGNED_AT, SNAPSHOT, TIMESTAMP, TufError};
use crate::time;

/// The signed part of a timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    header: Header,
    snapshot: MetaFile,
    signed_at: Option<u64>,
}

impl Timestamp {
    /// Reads the signed part.
    ///
    /// # Errors
    /// When it is not of the form of section 4.6.
    pub fn parse(envelope: &Envelope) -> Result<Self, TufError> {
        let header = envelope.header(TIMESTAMP)?;
        let fields = envelope.fields();
        let meta = fields.object("meta", "it lists no files")?;
        if meta.get("snapshot.json").is_none() {
            return Err(TufError::Unlisted { role: SNAPSHOT.into() });
        }
        let snapshot =
            MetaFile::read(&meta.object("snapshot.json", "what it says of the snapshot is not an object")?)?;
        let signed_at = match fields.get(SIGNED_AT) {
            None => None,
            Some(value) => Some(
                value
                    .as_str()
                    .and_then(|text| time::parse(text).ok())
                    .ok_or_else(|| fields.error("x-plyos-signed-at is not a time"))?,
            ),
        };
        Ok(Self { header, snapshot, signed_at })
    }

    /// Version and expiry.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The snapshot it announces.
    pub const fn snapshot(&self) -> MetaFile {
        self.snapshot
    }

    /// When it was signed (seconds since 1970), if it says so: a client's floor of time.
    pub const fn signed_at(&self) -> Option<u64> {
        self.signed_at
    }
}
