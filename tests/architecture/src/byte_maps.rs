//! The byte maps of `docs/formats.md`.

use std::collections::BTreeMap;

use plyos_bytemap::Layout;

/// A layout as documents and code have it: total bytes, and (offset, size, name in lower case) of each field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Bytes in all.
    pub size: usize,
    /// Fields in order.
    pub fields: Vec<(usize, usize, String)>,
}

impl From<&Layout> for Shape {
    fn from(layout: &Layout) -> Self {
        let field = |field: &plyos_bytemap::Field| (field.offset, field.size, field.name.to_lowercase());
        Self { size: layout.size, fields: layout.fields.iter().map(field).collect() }
    }
}

const MARKER: &str = "<!-- bytemap: ";

/// Reads every table under a marker `bytemap: NAME SIZE`.
pub fn parse(document: &str) -> Result<BTreeMap<String, Shape>, String> {
    let mut shapes = BTreeMap::new();
    for part in document.split(MARKER).skip(1) {
        let (head, rest) = part.split_once(" -->\n").ok_or(format!("a marker does not end: {part:.40}"))?;
        let (name, size) = head.split_once(' ').ok_or(format!("a marker without a size: {head}"))?;
        let size = size.parse().map_err(|_| format!("a marker without a size: {head}"))?;
        let mut lines = rest.lines();
        if lines.next() != Some("| offset | size | field | meaning |") {
            return Err(format!("no table directly under the marker of {name}"));
        }
        let fields = lines
            .skip(1)
            .take_while(|line| line.starts_with('|'))
            .map(|line| field(line).ok_or(format!("{name}: not a field: {line}")))
            .collect::<Result<_, _>>()?;
        if shapes.insert(name.to_owned(), Shape { size, fields }).is_some() {
            return Err(format!("{name} is described twice"));
        }
    }
    Ok(shapes)
}

fn field(line: &str) -> Option<(usize, usize, String)> {
    let mut cells = line.trim_matches('|').split('|').map(str::trim);
    let (offset, size, name) = (cells.next()?, cells.next()?, cells.next()?);
    Some((offset.parse().ok()?, size.parse().ok()?, name.to_owned()))
}

/// Names of the layouts that a source text declares outside of its tests, read from the text itself so that a layout that is
/// exported nowhere is seen, too: with `byte_map!`, or spelt out as a `Layout`.
pub fn declared(source: &str) -> Vec<String> {
    let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut spelt_out = false;
    let mut names = Vec::new();
    for line in shipped.lines().map(str::trim_start) {
        let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        // `mod NAME = "LAYOUT", SIZE` is nothing but the macro's input.
        let head = if spelt_out { "name: \"" } else { "mod " };
        let name = line.strip_prefix(head).and_then(|rest| {
            let rest = if spelt_out { rest } else { rest.split_once(" = \"")?.1 };
            Some(rest.split_once("\",")?.0)
        });
        names.extend(name.map(str::to_owned));
        spelt_out = line.ends_with("= Layout {");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# F\n\n<!-- bytemap: point 8 -->\n| offset | size | field | meaning |\n| --- | --- | --- | --- |\n\
                            | 0 | 4 | x | right |\n| 4 | 4 | y | |\n\nA table | of another kind.\n";

    #[test]
    fn tables_are_read() {
        let shapes = parse(DOCUMENT).unwrap();
        let expected = Shape { size: 8, fields: vec![(0, 4, "x".into()), (4, 4, "y".into())] };
        assert_eq!(shapes, BTreeMap::from([("point".to_owned(), expected)]));
    }

    #[test]
    fn broken_tables_are_refused() {
        for (from, to) in [("point 8", "point"), ("| 4 | 4 | y", "| four | 4 | y"), ("-->\n|", "-->\n\n|")] {
            let broken = DOCUMENT.replacen(from, to, 1);
            assert_ne!(broken, DOCUMENT);
            assert!(parse(&broken).is_err(), "{broken}");
        }
        assert!(parse(&format!("{DOCUMENT}{DOCUMENT}")).is_err(), "twice");
    }

    #[test]
    fn declarations_are_found_in_source() {
        let source = "byte_map! {\n    /// A {point}.\n    pub mod p = \"point\", 8 { X: 0, 8; }\n}\n\
                      byte_map! {\n    mod q = \"other\", 8 { X: 0, 8; }\n}\nmod plain;\n\
                      /// mod r = \"documented\", 8\npub const LAYOUT: Layout = Layout {\n    name: \"spelt\",\n};\n#[cfg(test)]\nmod s = \"tested\", 8 {}";
        assert_eq!(declared(source), ["point", "other", "spelt"]);
    }
}
