//! tar as POSIX, GNU and libarchive write it, read strictly.
//!
//! [`Reader`] yields the members of a stream, each with one meaning: where two readers could understand two things (a name
//! that is said twice, two sizes, content of a directory, data after the end), the archive is refused. [`stage`] puts them into
//! a staging tree. The crate `tar` gives the layout of header blocks; its own reader is more forgiving than is safe here.

mod acl;
mod attributes;
mod header;
mod member;
mod pax;
mod reader;
mod sparse;

use std::io::Read;

pub(crate) use self::member::{Kind, Member};
pub(crate) use self::reader::{End, Reader};

use crate::error::ImportError;
use crate::names::{Absolute, entry_path};
use crate::staging::{Special, Staging};

/// Reads a whole stream into `staging`.
pub(crate) fn stage(
    input: impl Read,
    what: &str,
    staging: &mut Staging,
    absolute: Absolute,
) -> Result<(), ImportError> {
    let mut reader = Reader::new(input, what, End::Marked);
    while let Some(member) = reader.next()? {
        stage_member(&mut reader, &member, staging, absolute)?;
    }
    Ok(())
}

/// Puts one member into `staging`; `reader` stands at its content.
pub(crate) fn stage_member<R: Read>(
    reader: &mut Reader<'_, R>,
    member: &Member,
    staging: &mut Staging,
    absolute: Absolute,
) -> Result<(), ImportError> {
    let path =
        entry_path(&member.name, absolute).map_err(|refusal| ImportError::entry(&member.name, refusal))?;
    let attributes = member.attributes.clone();
    match &member.kind {
        Kind::Directory => staging.directory(&path, attributes),
        Kind::File => {
            staging.expand_holes(member.holes()).map_err(|refusal| ImportError::entry(&path, refusal))?;
            let found = staging.file(&path, attributes, reader.content(member))?;
            if found == member.size() { Ok(()) } else { Err(reader.cut()) }
        }
        Kind::HardLink { target } => {
            let target =
                entry_path(target, absolute).map_err(|refusal| ImportError::entry(&member.name, refusal))?;
            staging.hard_link(&path, &target)
        }
        Kind::Symlink { target } => {
            let target = target.clone();
            staging.special(&path, Special::Symlink { target }, attributes)
        }
        Kind::CharDevice { major, minor } => {
            staging.special(&path, Special::CharDevice { major: *major, minor: *minor }, attributes)
        }
        Kind::BlockDevice { major, minor } => {
            staging.special(&path, Special::BlockDevice { major: *major, minor: *minor }, attributes)
        }
        Kind::Fifo => staging.special(&path, Special::Fifo, attributes),
    }
}
