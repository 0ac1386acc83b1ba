//! Whom the kernel will trust: pinned roots from root files.

use plyos_report::{ExitCode, Failure, OrFail};
use plyos_trust::pins::{PinnedSet, Pins};
use plyos_trust::tuf::{self, Envelope, Root};
use std::fs::File;
use std::io::Read;

/// Longest root file that is read.
const LONGEST: u64 = 512 << 10;

/// The set of a root file, which must be signed by its own keys. `doing` stands before what is wrong with it.
pub fn set_of(bytes: &[u8], doing: &str) -> Result<PinnedSet, Failure> {
    let envelope = Envelope::parse(tuf::ROOT, bytes).or_fail(ExitCode::Signature, doing)?;
    let root = Root::parse(&envelope).or_fail(ExitCode::Signature, doing)?;
    root.root().verify(&envelope).or_fail(ExitCode::Signature, doing)?;
    PinnedSet::of_root(&root).or_fail(ExitCode::Signature, doing)
}

/// The pins of root files that the user vouches for.
pub fn of_files(paths: &[String]) -> Result<Pins, Failure> {
    let mut sets = Vec::new();
    for path in paths {
        let doing = format!("reading the root file {path}");
        let mut bytes = Vec::new();
        let file = File::open(path).or_fail(ExitCode::NotFound, &doing)?;
        file.take(LONGEST + 1).read_to_end(&mut bytes).or_fail(ExitCode::NotFound, &doing)?;
        if bytes.len() as u64 > LONGEST {
            return Err(Failure::new(ExitCode::Signature, format!("{doing}: it is longer than 512 KiB")));
        }
        sets.push(set_of(&bytes, &doing)?);
    }
    pins(sets)
}

/// Sets together.
pub fn pins(sets: impl IntoIterator<Item = PinnedSet>) -> Result<Pins, Failure> {
    Pins::new(sets).or_fail(ExitCode::Failure, "pinning root keys")
}
