//! An upload session as it is put away: a line of JSON, then the bytes that are in no part yet. See docs/formats.md, "Upload session".
//!
//! Pure. It is read back by the same version of this program, on this or another server; whatever cannot be read is no session.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::digest::{Algorithm, hex};
use crate::hasher::Hasher;
use crate::keys::DataId;
use crate::progress::Progress;
use crate::recipe::Extent;

/// The form of this version.
const FORM: u32 = 1;
/// Longest line: as many extents as there may be and the parts of the largest object take less.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// A session of a bucket, or one that has copied something.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// What stands for the repository that it belongs to.
    pub(crate) owner: String,
    pub(crate) progress: Progress,
    pub(crate) parts: Parts,
    /// The last of the new bytes, which are in no part.
    pub(crate) tail: Bytes,
}

/// The parts of the own data object that a bucket holds already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    /// The unfinished object, once there is one.
    pub(crate) begun: Option<Begun>,
    /// The bucket's names for the parts, in order.
    pub(crate) done: Vec<String>,
}

/// An object of parts that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The data object that it will be.
    pub(crate) data: String,
    /// The bucket's name for the making of it.
    pub(crate) upload: String,
}

impl Parts {
    /// The data object that the parts will be.
    pub(crate) fn data(&self) -> Option<DataId> {
        DataId::from_hex(&self.begun.as_ref()?.data)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    form: u32,
    owner: String,
    algorithm: String,
    hash: String,
    /// Data objects by a short name, because extents repeat them.
    data: BTreeMap<u32, String>,
    extents: Vec<(u32, u64, u64)>,
    parts: Parts,
}

impl Saved {
    /// The session as bytes.
    pub(crate) fn emit(&self) -> Option<Bytes> {
        let mut names: BTreeMap<DataId, u32> = BTreeMap::new();
        for extent in self.progress.extents() {
            let next = names.len() as u32;
            names.entry(extent.data).or_insert(next);
        }
        let extents = self.progress.extents().iter();
        let line = Line {
            form: FORM,
            owner: self.owner.clone(),
            algorithm: self.progress.hasher().algorithm().to_string(),
            hash: hex(&self.progress.hasher().save()),
            data: names.iter().map(|(data, name)| (*name, data.to_string())).collect(),
            extents: extents.filter_map(|e| Some((*names.get(&e.data)?, e.offset, e.length))).collect(),
            parts: self.parts.clone(),
        };
        let mut out = BytesMut::new().writer();
        serde_json::to_writer(&mut out, &line).ok()?;
        let mut out = out.into_inner();
        out.put_u8(b'\n');
        out.extend_from_slice(&self.tail);
        Some(out.freeze())
    }

    /// Reads the session whose own data object is `own`.
    pub(crate) fn parse(own: DataId, bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n')?;
        let line: Line = serde_json::from_slice(bytes.get(..end)?).ok()?;
        if line.form != FORM {
            return None;
        }
        let algorithm: Algorithm = line.algorithm.parse().ok()?;
        let hasher = Hasher::restore(algorithm, &unhex(&line.hash)?)?;
        let place = |(name, offset, length): &(u32, u64, u64)| {
            let data = DataId::from_hex(line.data.get(name)?)?;
            Some(Extent { data, offset: *offset, length: *length })
        };
        if line.parts.begun.is_some() && line.parts.data().is_none() {
            return None;
        }
        let extents: Option<Vec<Extent>> = line.extents.iter().map(place).collect();
        let progress = Progress::restore(own, hasher, extents?)?;
        Some(Self { owner: line.owner, progress, parts: line.parts, tail: bytes.slice(end + 1..) })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: DataId = DataId::from_bytes([1; 16]);

    fn sample(algorithm: Algorithm) -> Saved {
        let mut progress = Progress::start(OWN, algorithm);
        progress.wrote(b"new bytes").unwrap();
        let copy = Extent { data: DataId::from_bytes([2; 16]), offset: 7, length: 5 };
        progress.copied(&[copy], progress.hasher().clone()).unwrap();
        let begun = Begun { data: DataId::from_bytes([3; 16]).to_string(), upload: "u\n\"1".to_owned() };
        let parts = Parts { begun: Some(begun), done: vec!["a".to_owned()] };
        Saved { owner: "owner".to_owned(), progress, parts, tail: Bytes::from_static(b"\n{tail}") }
    }

    #[test]
    fn what_is_put_away_comes_back() {
        for algorithm in Algorithm::ALL {
            let saved = sample(algorithm);
            let again = Saved::parse(OWN, &saved.emit().unwrap()).unwrap();
            assert_eq!(again.owner, saved.owner);
            assert_eq!(again.parts, saved.parts);
            assert_eq!(again.tail, saved.tail);
            assert_eq!(again.progress.extents(), saved.progress.extents());
            assert_eq!(again.progress.own_len(), 9);
            let (mut one, mut two) = (saved.progress, again.progress);
            one.wrote(b"more").unwrap();
            two.wrote(b"more").unwrap();
            assert_eq!(one.hasher().clone().finish(), two.hasher().clone().finish());
        }
    }

    #[test]
    fn what_is_no_session_is_refused() {
        let good = String::from_utf8(sample(Algorithm::Sha256).emit().unwrap().to_vec()).unwrap();
        assert!(Saved::parse(OWN, &Bytes::from(good.clone())).is_some());
        for (from, to) in [
            ("\"form\":1", "\"form\":2"),
            ("sha256", "md5"),
            ("\"hash\":\"", "\"hash\":\"00"),
            ("\"hash\":\"", "\"hash\":\"é"),
            ("[1,7,5]", "[9,7,5]"),
            ("[0,0,9]", "[0,1,9]"),
            ("\"data\":\"03", "\"data\":\"0"),
            ("\n", "!"),
            ("{", "["),
        ] {
            let bad = good.replacen(from, to, 1).split_inclusive('\n').next().unwrap().to_owned();
            assert!(Saved::parse(OWN, &Bytes::from(bad)).is_none(), "{from} {to}");
        }
        assert!(Saved::parse(OWN, &Bytes::new()).is_none());
    }
}
