//! The list of golden files for people: `tests/golden/README.md`.

use crate::{Again, Golden};

/// Sections of `docs/formats.md` without a golden file, with the reason.
pub const WITHOUT: &[(&str, &str)] = &[
    ("Preamble", "every binary file here starts with one"),
    ("Key files", "salts and keys are random; openssl judges them in the tests of plyos-custody"),
    ("Proposal", "its documents are those of other sections; tests of plyos-custody read and write it"),
    ("Bundle", "nothing writes or reads one yet"),
    ("Locks and leases", "nothing of them is on the disk"),
    (
        "Upload session",
        "local to a registry, read only by the version that wrote it; tests of plyos-blobs take sessions up again",
    ),
];

const HEAD: &str = "# Golden files

The bytes of every format of [docs/formats.md](../../docs/formats.md), made from fixed inputs. `cargo test -p plyos-test-golden` makes them anew
and compares byte for byte, reads each and writes it again (`emit(parse(x)) == x`), and lets GNU tar and zstd judge stream and blob.

`make golden` writes `files` and this page. A difference there is a change of a format: right only while the format was never released, or when it has
a new magic, version or number. Files that end in `.hex` are dumps of the rows that are not all zero (`xxd -r FILE.hex OUT` reverses them, but for zeroes at the end); all others are
the bytes themselves.

| file | section | what it is | read back |
| --- | --- | --- | --- |
";

/// The whole page.
pub fn text(goldens: &[Golden]) -> String {
    let mut out = String::from(HEAD);
    for golden in goldens {
        let Golden { name, section, what, again, .. } = golden;
        let anchor = section.to_lowercase().replace(' ', "-");
        let again = if matches!(again, Again::Emit(_)) { "yes" } else { "no" };
        out += &format!(
            "| [{name}](files/{name}) | [{section}](../../docs/formats.md#{anchor}) | {what} | {again} |\n"
        );
    }
    out += "\nSections without a golden file:\n\n";
    for (section, why) in WITHOUT {
        out += &format!("- {section}: {why}.\n");
    }
    out
}
