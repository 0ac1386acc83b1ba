//! The table of crates and of the edges that are allowed between them, from `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};

/// Stands before the table.
pub const MARKER: &str = "<!-- dependency-table -->";

/// Stands after an edge from one folder to a shell of another.
pub const EXCEPTION: &str = "(shell of another folder)";

/// What a crate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `no_std`, no I/O, no clock.
    Core,
    /// Does the I/O around a core.
    Shell,
    /// One of the programs; may use everything.
    Program,
    /// Tests of the whole; may use everything.
    Tests,
}

/// Which crates a crate may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Any.
    Everything,
    /// These; the value says whether the edge carries [`EXCEPTION`].
    These(BTreeMap<String, bool>),
}

impl Allowed {
    /// Whether the edge is allowed.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::These(names) => names.contains_key(name),
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands, from the root.
    pub folder: String,
    /// What it is.
    pub role: Role,
    /// What it may use, itself.
    pub may_use: Allowed,
}

impl Row {
    /// The top-level folder.
    pub fn concept(&self) -> &str {
        self.folder.split('/').next().unwrap_or_default()
    }
}

/// The table, by crate name.
pub type Table = BTreeMap<String, Row>;

/// Reads the table.
pub fn parse(document: &str) -> Result<Table, String> {
    let (_, rest) = document.split_once(MARKER).ok_or(format!("no {MARKER}"))?;
    let mut lines = rest.trim_start().lines();
    if lines.next() != Some("| crate | folder | role | may use |") {
        return Err("the table does not start with | crate | folder | role | may use |".into());
    }
    let mut table = Table::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[name, folder, role, may_use] = cells.as_slice() else {
            return Err(format!("not four cells: {line}"));
        };
        let role = match role {
            "core" => Role::Core,
            "shell" => Role::Shell,
            "program" => Role::Program,
            "tests" => Role::Tests,
            _ => return Err(format!("unknown role: {line}")),
        };
        let may_use = parse_edges(may_use).ok_or(format!("unknown edges: {line}"))?;
        let row = Row { folder: quoted(folder).ok_or(format!("no folder: {line}"))?, role, may_use };
        let name = quoted(name).ok_or(format!("no crate: {line}"))?;
        if table.insert(name, row).is_some() {
            return Err(format!("twice: {line}"));
        }
    }
    Ok(table)
}

fn quoted(text: &str) -> Option<String> {
    text.strip_prefix('`')?.strip_suffix('`').filter(|name| !name.is_empty()).map(str::to_owned)
}

fn parse_edges(cell: &str) -> Option<Allowed> {
    match cell {
        "everything" => return Some(Allowed::Everything),
        "nothing" => return Some(Allowed::These(BTreeMap::new())),
        _ => {}
    }
    let edge = |text: &str| match text.strip_suffix(EXCEPTION) {
        Some(name) => quoted(name.trim_end()).map(|name| (name, true)),
        None => quoted(text).map(|name| (name, false)),
    };
    cell.split(", ").map(edge).collect::<Option<_>>().map(Allowed::These)
}

/// Everything that stands below `name`, at any depth.
pub fn below(table: &Table, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        if let Some(Row { may_use: Allowed::These(names), .. }) = table.get(&name) {
            open.extend(names.keys().filter(|name| found.insert((*name).clone())).cloned());
        }
    }
    found
}

/// What is wrong with the table itself, one line each.
pub fn faults(table: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, row) in table {
        if below(table, name).contains(name) {
            faults.push(format!("{name} stands below itself"));
        }
        let Allowed::These(names) = &row.may_use else {
            if matches!(row.role, Role::Core | Role::Shell) {
                faults.push(format!("{name} is no program and may use everything"));
            }
            continue;
        };
        for (used, excepted) in names {
            let Some(target) = table.get(used) else {
                faults.push(format!("{name} may use {used}, which has no row"));
                continue;
            };
            let foreign_shell = target.role == Role::Shell && target.concept() != row.concept();
            match (row.role, target.role) {
                (_, Role::Program | Role::Tests) => faults.push(format!("{name} may use the program {used}")),
                (Role::Core, Role::Shell) => faults.push(format!("core {name} may use the shell {used}")),
                _ if foreign_shell != *excepted => {
                    faults.push(format!(
                        "{name} -> {used}: {EXCEPTION} stands where, and only where, it is one"
                    ));
                }
                _ => {}
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> Result<Table, String> {
        parse(&format!(
            "text\n\n{MARKER}\n| crate | folder | role | may use |\n| --- | --- | --- | --- |\n{rows}\n\nmore"
        ))
    }

    const GOOD: &str = "| `ids` | `a/ids` | core | nothing |\n\
                        | `disk` | `a/disk` | shell | `ids` |\n\
                        | `net` | `b/net` | shell | `ids`, `disk` (shell of another folder) |\n\
                        | `prog` | `c/prog` | program | everything |";

    #[test]
    fn a_sound_table_is_read() {
        let table = table(GOOD).unwrap();
        assert_eq!(table.len(), 4);
        assert_eq!(faults(&table), Vec::<String>::new());
        assert_eq!(below(&table, "net").into_iter().collect::<Vec<_>>(), ["disk", "ids"]);
        assert!(table["net"].may_use.contains("disk") && !table["disk"].may_use.contains("net"));
        assert!(table["prog"].may_use.contains("net"));
    }

    #[test]
    fn rows_that_are_not_understood_are_refused() {
        for row in [
            "| `x` | `a/x` | core |",
            "| x | `a/x` | core | nothing |",
            "| `x` | `a/x` | helper | nothing |",
            "| `x` | `a/x` | core | ids |",
            "| `ids` | `a/ids` | core | nothing |",
        ] {
            assert!(table(&format!("{GOOD}\n{row}")).is_err(), "{row}");
        }
        assert!(parse("| crate | folder | role | may use |").is_err());
    }

    #[test]
    fn each_fault_is_named() {
        for (row, expected) in [
            ("| `x` | `a/x` | core | `disk` |", "core x may use the shell disk"),
            ("| `x` | `b/x` | shell | `disk` |", "x -> disk: (shell of another folder) stands"),
            (
                "| `x` | `a/x` | shell | `disk` (shell of another folder) |",
                "x -> disk: (shell of another folder) stands",
            ),
            ("| `x` | `a/x` | shell | `gone` |", "x may use gone, which has no row"),
            ("| `x` | `a/x` | shell | `prog` |", "x may use the program prog"),
            ("| `x` | `a/x` | shell | everything |", "x is no program and may use everything"),
            ("| `x` | `a/x` | core | `y` |\n| `y` | `a/y` | core | `x` |", "x stands below itself"),
        ] {
            let faults = faults(&table(&format!("{GOOD}\n{row}")).unwrap());
            assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{row}: {faults:?}");
        }
    }
}
