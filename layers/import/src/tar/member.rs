//! One member of an archive, as its headers together say.

use super::attributes;
use super::header::{Block, number, small_number, unsigned_number};
use super::pax::Records;
use super::sparse::Map;
use crate::error::Refusal;
use crate::staging::Attributes;

/// Sizes from here on do not fit the eleven octal digits of a header; only then the pax header may say another one.
const OCTAL_LIMIT: u64 = 1 << 33;

/// An entry of an archive. Names are as they are written there.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub name: Vec<u8>,
    pub kind: Kind,
    pub attributes: Attributes,
    pub(super) map: Map,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    HardLink { target: Vec<u8> },
    Symlink { target: Vec<u8> },
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
}

impl Member {
    /// Bytes of content.
    pub(crate) const fn size(&self) -> u64 {
        self.map.size
    }

    /// Bytes of content that are not in the archive.
    pub(crate) fn holes(&self) -> u64 {
        self.map.holes()
    }
}

/// What stands before a header and belongs to it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub pax: Option<Records>,
    /// GNU's long name.
    pub name: Option<Vec<u8>>,
    /// GNU's long link target.
    pub target: Option<Vec<u8>>,
}

impl Extensions {
    pub(super) const fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.target.is_none()
    }
}

/// The name of the member, for errors before all of it is known.
pub(super) fn name_of(block: &Block, extensions: &Extensions) -> Vec<u8> {
    let pax = extensions.pax.as_ref();
    let said = |key| pax.and_then(|records| records.get(key)).map(<[u8]>::to_vec);
    said("GNU.sparse.name")
        .or_else(|| said("path"))
        .or_else(|| extensions.name.clone())
        .unwrap_or_else(|| block.header().path_bytes().into_owned())
}

/// Bytes that follow the header, by pax record or header proper. Readers that know no pax go by the header, so both must agree
/// where the header can say it.
pub(super) fn stored_size(block: &Block, extensions: &Extensions) -> Result<u64, Refusal> {
    let ustar = unsigned_number(&block.header().as_old().size, "size")?;
    match extensions.pax.as_ref().map_or(Ok(None), |records| records.number("size", "size"))? {
        Some(pax) if pax != ustar && pax < OCTAL_LIMIT => Err(Refusal::Sizes { pax, ustar }),
        Some(pax) => Ok(pax),
        None => Ok(ustar),
    }
}

/// What a header and what stood before it make. `map` is the file's, of one without content that of nothing.
pub(super) fn member(
    block: &Block,
    name: Vec<u8>,
    extensions: &Extensions,
    global: &Records,
    map: Map,
) -> Result<Member, Refusal> {
    let own = extensions.pax.clone().unwrap_or_default();
    if extensions.name.is_some() && own.get("path").is_some() {
        return Err(Refusal::SaidTwice("name"));
    }
    if extensions.target.is_some() && own.get("linkpath").is_some() {
        return Err(Refusal::SaidTwice("link target"));
    }
    own.text("path")?;
    let mut records = global.clone();
    records.extend(own);
    let header = block.header();
    let fields = header.as_old();
    let target = || -> Result<Vec<u8>, Refusal> {
        Ok(match (records.text("linkpath")?, &extensions.target) {
            (Some(target), _) => target.to_vec(),
            (None, Some(target)) => target.clone(),
            (None, None) => header.link_name_bytes().unwrap_or_default().into_owned(),
        })
    };
    let device = || -> Result<(u32, u32), Refusal> {
        // Old archives have no such fields, nor devices.
        let fields = header.as_ustar().map(|ustar| (ustar.dev_major, ustar.dev_minor));
        let (major, minor) = fields
            .or_else(|| header.as_gnu().map(|gnu| (gnu.dev_major, gnu.dev_minor)))
            .ok_or(Refusal::Number("device"))?;
        Ok((small_number(&major, "device")?, small_number(&minor, "device")?))
    };
    let ends_in_slash = name.last() == Some(&b'/');
    let kind = match fields.linkflag {
        // What was before POSIX had no type for directories.
        [0] if ends_in_slash => Kind::Directory,
        [0 | b'0' | b'7' | b'S'] if ends_in_slash => return Err(Refusal::FileOrDirectory),
        [0 | b'0' | b'7' | b'S'] => Kind::File,
        [b'1'] => Kind::HardLink { target: target()? },
        [b'2'] => Kind::Symlink { target: target()? },
        [b'3'] => device().map(|(major, minor)| Kind::CharDevice { major, minor })?,
        [b'4'] => device().map(|(major, minor)| Kind::BlockDevice { major, minor })?,
        [b'5'] => Kind::Directory,
        [b'6'] => Kind::Fifo,
        [other] => return Err(Refusal::Type(other.into())),
    };
    if kind != Kind::File && map.size != 0 {
        return Err(Refusal::ContentOfNoFile);
    }
    let id = |key: &str, field: &[u8]| match records.number(key, "owner or group")? {
        Some(id) => u32::try_from(id).map_err(|_| Refusal::TooGreat("owner or group")),
        None => small_number(field, "owner or group"),
    };
    let attributes = Attributes {
        // Old writers also put the type's bits there.
        mode: (unsigned_number(&fields.mode, "mode")? & 0o7777) as u16,
        uid: id("uid", &fields.uid)?,
        gid: id("gid", &fields.gid)?,
        mtime: match records.seconds("mtime")? {
            Some(mtime) => mtime,
            None => number(&fields.mtime, "mtime")?,
        },
        xattrs: attributes::read(&records)?,
    };
    Ok(Member { name, kind, attributes, map })
}
