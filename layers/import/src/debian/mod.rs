//! Debian packages (deb(5)): an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! The tree is that of the data, the description that of the control file. Maintainer scripts are not run anywhere and not
//! kept: a note says how many there were.

mod control;

use std::fs::File;
use std::io::Read;

use crate::bounds::Meter;
use crate::decompress::decompress;
use crate::error::{ImportError, Refusal};
use crate::facts::Imported;
use crate::names::{Absolute, spelt};
use crate::source::Request;
use crate::staging::Staging;
use crate::tar::{self, End, Kind, Reader};

/// Longest file of the control archive that is read.
const MAX_CONTROL: u64 = 1 << 20;
/// What dpkg would run.
const SCRIPTS: [&[u8]; 5] = [b"preinst", b"postinst", b"prerm", b"postrm", b"config"];

/// What the control archive holds.
#[derive(Debug, Default)]
struct Control {
    control: Option<String>,
    scripts: usize,
    conffiles: usize,
}

/// Reads a package.
pub(crate) fn read(file: File, what: &str, request: &Request<'_>) -> Result<Imported, ImportError> {
    let refused = |text: &str| ImportError::archive(what, Refusal::Content(text.to_owned()));
    let meter = Meter::new(request.limits);
    let mut archive = ar::Archive::new(file);
    let mut staging = Staging::new(meter.clone())?;
    let (mut control, mut has_data) = (None, false);
    let mut expected = ["debian-binary", "control.tar", "data.tar"].into_iter();
    while let Some(part) = archive.next_entry() {
        let mut part = part.map_err(|source| ImportError::read(what, source))?;
        let name = String::from_utf8_lossy(part.header().identifier()).into_owned();
        // Parts whose name begins with `_` are somebody's own (deb(5)).
        if name.starts_with('_') {
            continue;
        }
        let Some(next) = expected.next() else { break };
        if !name.starts_with(next) {
            return Err(refused(&format!(
                "its part {name} stands where {next} is expected; is it a Debian package?"
            )));
        }
        let what = format!("{name} of {what}");
        match next {
            "debian-binary" => {
                let mut version = String::new();
                part.by_ref()
                    .take(16)
                    .read_to_string(&mut version)
                    .map_err(|source| ImportError::read(&what, source))?;
                if !version.starts_with("2.") {
                    return Err(refused("its format is not 2.x"));
                }
            }
            "control.tar" => control = Some(read_control(decompress(part, &meter, &what)?, &what)?),
            _ => {
                tar::stage(decompress(part, &meter, &what)?, &what, &mut staging, Absolute::Refuse)?;
                has_data = true;
            }
        }
    }
    let (Some(control), true) = (control, has_data) else {
        return Err(refused(
            "it has no control.tar or no data.tar; it was cut short, or is no Debian package",
        ));
    };
    let text = control.control.ok_or_else(|| refused("its control.tar has no file `control`"))?;
    let facts = control::facts(&text, request.depends).map_err(|text| refused(&text))?;
    let mut notes = Vec::new();
    if control.scripts > 0 {
        notes.push(format!(
            "{} maintainer scripts are left out: nothing of a layer runs on installing it",
            control.scripts
        ));
    }
    if control.conffiles > 0 {
        notes.push(format!(
            "{} conffiles: a package's defaults belong below etc/pkg/defaults/, other files in etc/ are refused on activation",
            control.conffiles
        ));
    }
    Ok(Imported { tree: staging.finish(request.rules)?, facts, notes })
}

fn read_control(input: impl Read, what: &str) -> Result<Control, ImportError> {
    let mut found = Control::default();
    let mut reader = Reader::new(input, what, End::Marked);
    while let Some(member) = reader.next()? {
        let path = spelt(&member.name, Absolute::Refuse)
            .map_err(|refusal| ImportError::entry(&member.name, refusal))?;
        if member.kind != Kind::File {
            continue;
        }
        if SCRIPTS.contains(&&path[..]) {
            found.scripts += 1;
        }
        if path != b"control" && path != b"conffiles" {
            continue;
        }
        if member.size() > MAX_CONTROL {
            return Err(ImportError::entry(&member.name, Refusal::TooLong("content")));
        }
        let mut text = String::new();
        reader
            .content(&member)
            .read_to_string(&mut text)
            .map_err(|source| ImportError::read(what, source))?;
        if path == b"conffiles" {
            found.conffiles = text.lines().filter(|line| line.starts_with('/')).count();
        } else if found.control.replace(text).is_some() {
            return Err(ImportError::entry(&member.name, Refusal::SaidTwice("file")));
        }
    }
    Ok(found)
}
